// Package aws checks the template for AWS.
package aws_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/daybook-go/daybook/hosting/lambda"
)

// template is the template as a tree of values; an intrinsic function in its
// short form is an object of one member, "!Ref" or the like.
func template(t *testing.T) map[string]any {
	t.Helper()
	data, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	return valueOf(t, root.Content[0]).(map[string]any)
}

func valueOf(t *testing.T, node *yaml.Node) any {
	t.Helper()
	var value any
	switch node.Kind {
	case yaml.MappingNode:
		members := map[string]any{}
		for i := 0; i < len(node.Content); i += 2 {
			name := node.Content[i].Value
			if _, twice := members[name]; twice {
				t.Errorf("line %d: %s stands twice", node.Content[i].Line, name)
			}
			members[name] = valueOf(t, node.Content[i+1])
		}
		value = members
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range node.Content {
			list = append(list, valueOf(t, item))
		}
		value = list
	default:
		value = node.Value
	}
	if strings.HasPrefix(node.Tag, "!") && !strings.HasPrefix(node.Tag, "!!") {
		return map[string]any{node.Tag: value}
	}
	return value
}

// at returns what stands below names in a tree; nil where nothing does.
func at(tree any, names ...string) any {
	for _, name := range names {
		members, _ := tree.(map[string]any)
		tree = members[name]
	}
	return tree
}

// texts are the texts of a value that is one text, or a list of them.
func texts(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			if text, is := item.(string); is {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}

// walk calls visit for every intrinsic function of a tree.
func walk(tree any, visit func(function string, argument any)) {
	switch v := tree.(type) {
	case map[string]any:
		for name, below := range v {
			if strings.HasPrefix(name, "!") {
				visit(name, below)
			}
			walk(below, visit)
		}
	case []any:
		for _, item := range v {
			walk(item, visit)
		}
	}
}

var substituted = regexp.MustCompile(`\$\{([^}]+)\}`)

func TestEveryReferenceOfTheTemplateIsThere(t *testing.T) {
	tree := template(t)
	known := func(name string) bool {
		name, _, _ = strings.Cut(name, ".")
		return strings.HasPrefix(name, "AWS::") || at(tree, "Resources", name) != nil || at(tree, "Parameters", name) != nil
	}
	used := map[string]bool{}
	walk(tree, func(function string, argument any) {
		var names []string
		switch function {
		case "!Ref", "!GetAtt":
			names = texts(argument)
		case "!Sub":
			for _, match := range substituted.FindAllStringSubmatch(argument.(string), -1) {
				names = append(names, match[1])
			}
		case "!If":
			if name := texts(argument)[0]; at(tree, "Conditions", name) == nil {
				t.Errorf("there is no condition %s", name)
			}
		case "!Not", "!Equals":
		default:
			t.Errorf("the function %s is not known to this test", function)
		}
		for _, name := range names {
			if !known(name) {
				t.Errorf("%s %s names nothing", function, name)
			}
			used[name] = true
		}
	})
	for name := range at(tree, "Parameters").(map[string]any) {
		if !used[name] {
			t.Errorf("nothing uses the parameter %s", name)
		}
	}
}

// functions are the functions of the template by the role that they play.
func functions(t *testing.T, tree map[string]any) map[lambda.Role]string {
	t.Helper()
	found := map[lambda.Role]string{}
	for name, resource := range at(tree, "Resources").(map[string]any) {
		if at(resource, "Type") == "AWS::Serverless::Function" {
			role, _ := at(resource, "Properties", "Environment", "Variables", "DAYBOOK_ROLE").(string)
			found[lambda.Role(role)] = name
		}
	}
	return found
}

func TestEachFunctionHasItsRoleItsLogAndAnAlarm(t *testing.T) {
	tree := template(t)
	found := functions(t, tree)
	for _, role := range []lambda.Role{lambda.RoleAPI, lambda.RoleIndexer, lambda.RolePublisher, lambda.RoleStatistics} {
		name := found[role]
		if name == "" {
			t.Errorf("no function plays the role %s", role)
			continue
		}
		properties := at(tree, "Resources", name, "Properties")
		if got, _ := at(properties, "Role", "!GetAtt").(string); got != name+"Role.Arn" {
			t.Errorf("%s has the role %q", name, got)
		}
		if got, _ := at(properties, "LoggingConfig", "LogGroup", "!Ref").(string); got != name+"Log" {
			t.Errorf("%s has the log %q", name, got)
		}
		if at(tree, "Resources", name+"Fails", "Type") != "AWS::CloudWatch::Alarm" {
			t.Errorf("%s has no alarm", name)
		}
	}
	if len(found) != 4 {
		t.Errorf("the functions are %v", found)
	}
	for _, name := range []string{"DeadLettersWait", "BatchesFail", "PublisherLags", "TableThrottles"} {
		if at(tree, "Resources", name, "Type") != "AWS::CloudWatch::Alarm" {
			t.Errorf("there is no alarm %s", name)
		}
	}
	for _, name := range []string{"Table", "Checkpoints"} {
		if at(tree, "Resources", name, "DeletionPolicy") != "Retain" || at(tree, "Resources", name, "Properties", "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") != "true" {
			t.Errorf("the table %s can be lost with the stack, or not be restored", name)
		}
	}
	for _, name := range []string{"ChangesetTopic", "EventTopic"} {
		if at(tree, "Resources", name, "Properties", "FifoTopic") != "true" {
			t.Errorf("%s is no FIFO topic", name)
		}
	}
	if at(tree, "Resources", "DeadLetters", "Properties", "FifoQueue") != "true" || at(tree, "Resources", "FailedBatches", "Properties", "FifoQueue") != nil {
		t.Error("dead letters keep the order of their streams; what Lambda gives up on goes to a queue that must not")
	}
}

// called finds what a client of the SDK is asked for.
var called = regexp.MustCompile(`\.(?:client|topics|queues)\.([A-Z][A-Za-z]+)\(`)

// calls are the actions that the permissions of AWS know for what the sources of
// packages ask services for.
func calls(t *testing.T, service string, files ...string) []string {
	t.Helper()
	var actions []string
	for _, pattern := range files {
		names, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil || names == nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			base := filepath.Base(name)
			if strings.HasSuffix(base, "_test.go") || base == "migrate.go" { // the template makes the table
				continue
			}
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range called.FindAllStringSubmatch(string(source), -1) {
				switch match[1] {
				case "TransactWriteItems":
					actions = append(actions, service+":PutItem", service+":UpdateItem")
				case "PublishBatch":
					actions = append(actions, service+":Publish")
				default:
					actions = append(actions, service+":"+match[1])
				}
			}
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// granted are the actions that the policy of a role allows on a resource, by the
// name by which the template refers to it.
func granted(t *testing.T, tree map[string]any, role, resource string) []string {
	t.Helper()
	var actions []string
	for _, policy := range at(tree, "Resources", role, "Properties", "Policies").([]any) {
		for _, statement := range at(policy, "PolicyDocument", "Statement").([]any) {
			if strings.Contains(fmt.Sprint(at(statement, "Resource")), "!GetAtt:"+resource+".") || strings.Contains(fmt.Sprint(at(statement, "Resource")), "!Ref:"+resource+"]") {
				actions = append(actions, texts(at(statement, "Action"))...)
			}
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

func TestEveryPermissionThatTheProgramUsesIsGrantedAndNoOther(t *testing.T) {
	tree := template(t)
	onTable := calls(t, "dynamodb", "storage/dynamodb/*.go")
	// inspect is in migrate.go, and is asked at each opening.
	onTable = append(onTable, "dynamodb:DescribeTable")
	slices.Sort(onTable)
	onTable = slices.Compact(onTable)
	onCheckpoints := calls(t, "dynamodb", "hosting/lambda/checkpoints.go")
	found := functions(t, tree)
	for role, name := range found {
		if got := granted(t, tree, name+"Role", "Table"); !slices.Equal(slices.DeleteFunc(slices.Clone(got), isOfStream), onTable) {
			t.Errorf("%s may do %v to the table, and does %v", role, got, onTable)
		}
		wantStream := role == lambda.RoleIndexer || role == lambda.RolePublisher
		if got := slices.ContainsFunc(granted(t, tree, name+"Role", "Table"), isOfStream); got != wantStream {
			t.Errorf("%s may read the stream of the table: %v", role, got)
		}
	}
	for _, want := range []struct {
		role     lambda.Role
		resource string
		actions  []string
	}{
		{lambda.RolePublisher, "Checkpoints", onCheckpoints},
		{lambda.RoleStatistics, "Checkpoints", []string{"dynamodb:GetItem"}},
		{lambda.RolePublisher, "ChangesetTopic", calls(t, "sns", "channel/sns/sns.go")},
		{lambda.RolePublisher, "EventTopic", calls(t, "sns", "channel/sns/sns.go")},
		{lambda.RolePublisher, "DeadLetters", calls(t, "sqs", "channel/sns/deadletter.go")},
		{lambda.RoleAPI, "DeadLetters", nil}, {lambda.RoleAPI, "Checkpoints", nil}, {lambda.RoleAPI, "EventTopic", nil}, {lambda.RoleIndexer, "EventTopic", nil},
	} {
		if got := granted(t, tree, found[want.role]+"Role", want.resource); !slices.Equal(got, want.actions) {
			t.Errorf("%s may do %v to %s, and does %v", want.role, got, want.resource, want.actions)
		}
	}
}

func isOfStream(action string) bool {
	return slices.Contains([]string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}, action)
}

func TestNothingIsGrantedByAWildcard(t *testing.T) {
	for name, resource := range at(template(t), "Resources").(map[string]any) {
		policies, _ := at(resource, "Properties", "Policies").([]any)
		for _, policy := range policies {
			for _, statement := range at(policy, "PolicyDocument", "Statement").([]any) {
				if said := fmt.Sprint(at(statement, "Action"), at(statement, "Resource")); strings.Contains(said, "*") {
					t.Errorf("%s is granted by a wildcard: %s", name, said)
				}
			}
		}
		if at(resource, "Type") == "AWS::IAM::Role" && (policies == nil || at(resource, "Properties", "ManagedPolicyArns") != nil) {
			t.Errorf("%s has other policies than its own", name)
		}
	}
}

func TestTheLinterOfCloudFormationFindsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: the linter takes many seconds")
	}
	linter, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("SKIPPED: cfn-lint is not on this machine: pip install cfn-lint")
	}
	if out, err := exec.Command(linter, "--version").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: cfn-lint does not run: %v: %s", err, out)
	}
	if out, err := exec.Command(linter, "template.yaml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

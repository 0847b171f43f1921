package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/daybook-go/daybook"
)

// deadLetters runs the subcommand and returns what it prints.
func deadLetters(t *testing.T, exit int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: os.Getenv}
	if got := p.run(t.Context(), append([]string{"deadletters"}, args...)); got != exit {
		t.Fatalf("deadletters %v exits with %d, want %d: %s", args, got, exit, &out)
	}
	return out.String()
}

func TestDeadLettersOfASubscriberAreListedShownAndReplayed(t *testing.T) {
	endpoint := os.Getenv("DAYBOOK_FAUXQS")
	if endpoint == "" {
		t.Skip(`SKIPPED: no SNS and SQS. Run: eval "$(scripts/services start fauxqs)"`)
	}
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	config := aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")}
	client := sqs.NewFromConfig(config)
	queue := func(name string) string {
		made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{
			QueueName: aws.String("t" + daybook.NewID().String()[24:] + name + ".fifo"), Attributes: map[string]string{"FifoQueue": "true"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return *made.QueueUrl
	}
	dead, work := queue("dead"), queue("work")
	for _, group := range []string{"a", "b"} {
		if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: &dead, MessageBody: aws.String("content " + group), MessageGroupId: aws.String(group), MessageDeduplicationId: aws.String(group),
		}); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(deadLettersVariable, dead)
	listed := strings.Split(strings.TrimSpace(deadLetters(t, exitOK, "list")), "\n")
	if len(listed) != 2 || !strings.Contains(listed[0], "a message of 9 bytes") {
		t.Fatalf("listed are %q", listed)
	}
	id, _, _ := strings.Cut(listed[1], " ")
	if shown := deadLetters(t, exitOK, "show", id); !strings.Contains(shown, "\ncontent b\n") {
		t.Errorf("shown is %q", shown)
	}
	if none := deadLetters(t, exitNotFound, "show", "nothing"); !strings.Contains(none, "no dead letter nothing") {
		t.Errorf("of what is not there is said %q", none)
	}
	if refused := deadLetters(t, exitFailed, "replay", "--store", "mem:"); !strings.Contains(refused, "0 sent, 2 refused") {
		t.Errorf("replayed to nowhere is said %q", refused)
	}
	if sent := deadLetters(t, exitOK, "replay", id, "--to", work); !strings.HasSuffix(sent, "\n1 sent\n") {
		t.Errorf("replayed by its id is said %q", sent)
	}
	if sent := deadLetters(t, exitOK, "replay", "--to", work, "--json"); !strings.Contains(sent, `"replay":"sent"`) {
		t.Errorf("replayed as JSON is said %q", sent)
	}
	if left := deadLetters(t, exitOK, "list"); left != "" {
		t.Errorf("left is %q", left)
	}
}

package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/channel/sns"
	"github.com/daybook-go/daybook/hosting/lambda"
)

// The variables by which functions are configured: a function of Lambda has no
// command line.
const (
	roleVariable        = "DAYBOOK_ROLE"
	basePathVariable    = "DAYBOOK_BASE_PATH"
	changesetsVariable  = "DAYBOOK_CHANGESET_TOPIC"
	eventsVariable      = "DAYBOOK_EVENT_TOPIC"
	deadLettersVariable = "DAYBOOK_DEAD_LETTERS"
	checkpointsVariable = "DAYBOOK_CHECKPOINTS"
	publisherVariable   = "DAYBOOK_PUBLISHER"
	labelVariable       = "DAYBOOK_LABEL"
	logLevelVariable    = "DAYBOOK_LOG_LEVEL"
	runtimeVariable     = "AWS_LAMBDA_RUNTIME_API"
)

func (p *program) lambdaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "lambda",
		GroupID: "keep",
		Short:   "Serve the store as a function of AWS Lambda",
		Long: `Answers the events of AWS Lambda, in its runtime: requests over HTTP, batches of
the stream of a DynamoDB table, schedules. docs/lambda.md shows how it is deployed.

A program that is called "bootstrap", as Lambda wants it, does this without being
told. It is configured by the environment:

  DAYBOOK_STORE             the store
  DAYBOOK_ROLE              api, indexer, publisher or statistics; by default
                            whatever an event asks for
  DAYBOOK_BASE_PATH         what a domain puts in front of all paths
  DAYBOOK_CHANGESET_TOPIC   the ARN of a FIFO topic for changesets
  DAYBOOK_EVENT_TOPIC       the ARN of a FIFO topic for single events
  DAYBOOK_DEAD_LETTERS      the URL of an SQS FIFO queue for what cannot be published
  DAYBOOK_CHECKPOINTS       the DynamoDB table of the publisher's place
  DAYBOOK_PUBLISHER         the name of that place (default publisher)
  DAYBOOK_LABEL             tells the metrics of several stores apart
  DAYBOOK_LOG_LEVEL         debug, info (the default), warn or error`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.lambda(command.Context()) },
	}
}

func (p *program) lambda(ctx context.Context) error {
	if p.getenv(runtimeVariable) == "" {
		return hinted(usagef("$%s is not set: this is not the runtime of Lambda", runtimeVariable), "a server is started by daybook serve")
	}
	level := p.getenv(logLevelVariable)
	if level == "" {
		level = "info"
	}
	log, err := p.logger("json", level)
	if err != nil {
		return err
	}
	options := &lambda.Options{
		Role: lambda.Role(p.getenv(roleVariable)), BasePath: p.getenv(basePathVariable), Publisher: p.getenv(publisherVariable),
		Label: p.getenv(labelVariable), Metrics: p.stdout, Logger: log,
	}
	options.API.Version = version()
	if err := p.publishing(ctx, options); err != nil {
		return err
	}
	driver, err := p.openDriver(ctx, opening{address: p.address(), access: writing, log: log})
	if err != nil {
		return err
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	function, err := lambda.New(store, driver, options)
	if err != nil {
		return usageError(err)
	}
	lambda.Start(ctx, function)
	return nil
}

// publishing puts the way out that the environment names into the options.
func (p *program) publishing(ctx context.Context, options *lambda.Options) error {
	changesets, events := p.getenv(changesetsVariable), p.getenv(eventsVariable)
	checkpoints := p.getenv(checkpointsVariable)
	if changesets == "" && events == "" && checkpoints == "" {
		return nil
	}
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	if checkpoints != "" {
		options.Checkpoints = lambda.NewCheckpoints(aws, checkpoints)
	}
	if changesets == "" && events == "" {
		return nil
	}
	if checkpoints == "" {
		return usagef("$%s is not set: the publisher keeps its place there", checkpointsVariable)
	}
	options.Publish, err = p.topics(aws)
	return err
}

// topics returns the channel to the topics that the environment names.
func (p *program) topics(config aws.Config) (*sns.Channel, error) {
	channel, err := sns.New(config, &sns.Options{
		ChangesetTopic: p.getenv(changesetsVariable), EventTopic: p.getenv(eventsVariable), DeadLetters: p.getenv(deadLettersVariable),
	})
	if err != nil {
		return nil, usageError(err)
	}
	return channel, nil
}

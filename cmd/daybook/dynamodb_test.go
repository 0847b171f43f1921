package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// dynamoDBVariable names the server that the tests use; scripts/services starts
// one.
const dynamoDBVariable = "DAYBOOK_DYNAMODB"

// setupDynamoDB gives a script the URLs of two tables of its own: $DYNAMODB and
// $DYNAMODB_COPY.
func setupDynamoDB(env *testscript.Env) {
	endpoint := os.Getenv(dynamoDBVariable)
	if endpoint == "" {
		return
	}
	for _, name := range []string{"DYNAMODB", "DYNAMODB_COPY"} {
		env.Setenv(name, fmt.Sprintf("dynamodb://eu-central-1/test_%x?endpoint=%s", rand.Uint64(), url.QueryEscape(endpoint)))
	}
}

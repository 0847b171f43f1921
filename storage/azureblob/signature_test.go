package azureblob_test

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// signature returns a shared access signature for a container with rights, that
// ends in a while.
func signature(t *testing.T, container, rights string, in time.Duration) string {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential("devstoreaccount1", emulatorKey)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	values := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, StartTime: now.Add(-2 * time.Hour), ExpiryTime: now.Add(in), Permissions: rights, ContainerName: container,
	}
	signed, err := values.SignWithSharedKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Encode()
}

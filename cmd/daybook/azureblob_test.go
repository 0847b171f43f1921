package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/rogpeppe/go-internal/testscript"
)

// appendBlobsVariable names the emulator that the tests use; scripts/services
// starts it.
const appendBlobsVariable = "DAYBOOK_AZURITE_BLOB"

// emulatorCredential is that of the account of the emulator.
func emulatorCredential() (*blob.SharedKeyCredential, error) {
	_, key, _ := strings.Cut(emulatorAccount, "AccountKey=")
	return blob.NewSharedKeyCredential("devstoreaccount1", key)
}

// setupAppendBlobs gives a script the URLs of two containers of its own.
func setupAppendBlobs(env *testscript.Env) error {
	endpoint := os.Getenv(appendBlobsVariable)
	if endpoint == "" {
		return nil
	}
	var containers []string
	for _, name := range []string{"APPENDBLOBS", "APPENDBLOBS_COPY"} {
		containers = append(containers, fmt.Sprintf("cli%x", rand.Uint64()))
		env.Setenv(name, "azureblob:"+emulatorAccount+";BlobEndpoint="+endpoint+";Container="+containers[len(containers)-1])
	}
	credential, err := emulatorCredential()
	if err != nil {
		return err
	}
	signed, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().UTC().Add(time.Hour), Permissions: "rl", ContainerName: containers[0],
	}.SignWithSharedKey(credential)
	if err != nil {
		return err
	}
	env.Setenv("APPENDBLOBS_READING", "azureblob:BlobEndpoint="+endpoint+";SharedAccessSignature="+signed.Encode()+";Container="+containers[0])
	return nil
}

func TestMaintainPutsFullAppendBlobsIntoOne(t *testing.T) {
	url := onAzure(t)["azureblob"]
	run := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(string) string { return url }}
		if exit := p.run(t.Context(), args); exit != want {
			t.Errorf("%v ends with %d, want %d: %s", args, exit, want, out.String())
		}
		return out.String()
	}
	if said := run(exitStore, "maintain"); !strings.Contains(said, "ContainerNotFound") {
		t.Errorf("without a container it says %q", said)
	}
	for range 3 {
		run(0, "append", "account-1", "--type", "deposited")
	}
	if said := run(0, "maintain"); !strings.Contains(said, "nothing is to be done") {
		t.Errorf("with one blob it says %q", said)
	}
	splitBlob(t, url)
	if said := run(0, "maintain"); !strings.Contains(said, "all full blobs are in one: events.00001.compact of ") {
		t.Errorf("with three blobs it says %q", said)
	}
	if said := run(0, "maintain", "--json"); said != "{\"changed\":false}\n" {
		t.Errorf("again it says %q", said)
	}
	if said := run(0, "verify"); !strings.HasPrefix(said, "sound: 3 records ") {
		t.Errorf("then %q", said)
	}
}

// splitBlob makes of the only blob of a log one for each frame, as if each were
// full.
func splitBlob(t *testing.T, url string) {
	t.Helper()
	credential, err := emulatorCredential()
	if err != nil {
		t.Fatal(err)
	}
	_, container, _ := strings.Cut(url, ";Container=")
	at := func(n int) *appendblob.Client {
		client, err := appendblob.NewClientWithSharedKeyCredential(fmt.Sprintf("%s/%s/events.%05d", os.Getenv(appendBlobsVariable), container, n), credential, nil)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	response, err := at(0).DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; len(data) > 0; n++ {
		size := int(binary.LittleEndian.Uint16(data))*8 + 12
		if _, err := at(n).Create(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := at(n).AppendBlock(t.Context(), streaming.NopCloser(bytes.NewReader(data[:size])), nil); err != nil {
			t.Fatal(err)
		}
		data = data[size:]
	}
}

package azureblob

import (
	"errors"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
)

func TestAddressesNameAContainerAndWhoOneIs(t *testing.T) {
	for address, want := range map[string]target{
		"azureblob://shop.blob.core.windows.net/log":                                               {service: "https://shop.blob.core.windows.net", container: "log"},
		"azureblob://shop.blob.core.windows.net":                                                   {service: "https://shop.blob.core.windows.net", container: "$root"},
		"azureblob://shop.blob.core.windows.net/log?sp=rl&sig=a%2Fb":                               {service: "https://shop.blob.core.windows.net", container: "log", sas: "sp=rl&sig=a%2Fb"},
		"azureblob://127.0.0.1:10000/devstoreaccount1/log?sp=rl":                                   {service: "http://127.0.0.1:10000/devstoreaccount1", container: "log", sas: "sp=rl"},
		"azureblob:DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=aa==;Container=log":  {service: "https://shop.blob.core.windows.net", container: "log", account: "shop", key: "aa=="},
		"azureblob:AccountName=shop;AccountKey=aa==;EndpointSuffix=core.chinacloudapi.cn;":         {service: "https://shop.blob.core.chinacloudapi.cn", container: "$root", account: "shop", key: "aa=="},
		"azureblob:BlobEndpoint=https://x.example/;SharedAccessSignature=sv=1&sp=rl;container=l-1": {service: "https://x.example", container: "l-1", sas: "sv=1&sp=rl"},
		"azureblob:UseDevelopmentStorage=true;Container=log":                                       {service: emulatorService, container: "log", account: emulatorAccount, key: emulatorKey},
	} {
		got, err := parseAddress(address)
		if err != nil || got != want {
			t.Errorf("%s is read as %+v, %v", address, got, err)
		}
	}
}

func TestAWrongAddressIsToldWithoutItsSecret(t *testing.T) {
	for _, address := range []string{
		"", "postgres://secret", "azureblob:", "azureblob:secret", "azureblob://", "azureblob://user:secret@host/log", "azureblob:AccountKey=secret;Container=log",
		"azureblob:BlobEndpoint=https://x;AccountKey=secret", "azureblob://shop.blob.core.windows.net/Log", "azureblob://shop.blob.core.windows.net/a",
		"azureblob://shop.blob.core.windows.net/log/more", "azureblob:AccountName=shop;AccountKey=secret;Container=-x-",
	} {
		_, err := parseAddress(address)
		if !errors.Is(err, daybook.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q is answered with %v", address, err)
		}
	}
}

func TestRightsOfASignatureTellWhetherItOnlyReads(t *testing.T) {
	for sas, readOnly := range map[string]bool{"sp=rl": true, "sp=r": true, "sp=rla": false, "sp=rlw": false, "si=policy": false, "": false} {
		if got := (&target{sas: sas}).readOnly(); got != readOnly {
			t.Errorf("%q is read-only: %v", sas, got)
		}
	}
}

package main

import (
	"strings"
	"testing"
)

func TestNoKeyOfAConnectionStringIsShown(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{
			"azureblob:DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=s3cr==;EndpointSuffix=core.windows.net;Container=log",
			"azureblob:DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=xxxxx;EndpointSuffix=core.windows.net;Container=log",
		},
		{
			"azureblob:BlobEndpoint=https://shop.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=s3cr;Container=log",
			"azureblob:BlobEndpoint=https://shop.blob.core.windows.net/;SharedAccessSignature=xxxxx;Container=log",
		},
		{
			"azureblob:https://shop.blob.core.windows.net/log?sv=1&sig=s3cr",
			"azureblob:xxxxx",
		},
		{
			"azureblob://shop.blob.core.windows.net/log?sv=1&sig=s3cr",
			"azureblob://shop.blob.core.windows.net/log?xxxxx",
		},
		{
			"azuretable://shop:s3cr@shop.table.core.windows.net/log",
			"azuretable://xxxxx@shop.table.core.windows.net/log",
		},
		{
			"azuretable://AccountName=shop;AccountKey=s3cr",
			"azuretable://AccountName=shop",
		},
		{
			"cosmos:AccountEndpoint=https://shop.documents.azure.com/;AccountKey=s3cr==;Database=d;Container=c",
			"cosmos:AccountEndpoint=https://shop.documents.azure.com/;AccountKey=xxxxx;Database=d;Container=c",
		},
		{
			"azuretable:TableEndpoint=https://shop.table.core.windows.net/?sig=s3cr;Table=t",
			"azuretable:TableEndpoint=https://shop.table.core.windows.net/?xxxxx;Table=t",
		},
		{
			"azuretable-functions:accountname=shop;accountkey = s3cr;Domain=Bank",
			"azuretable-functions:accountname=shop;accountkey=xxxxx;Domain=Bank",
		},
		{
			"azuretabel:AccountName=shop;AccountKey=s3cr;Table=t",
			"xxxxx;AccountKey=xxxxx;Table=t",
		},
		{
			"AccountName=shop;AccountKey=s3cr",
			"AccountName=shop;AccountKey=xxxxx",
		},
		{
			"azuretable:s3cr",
			"azuretable:xxxxx",
		},
		{
			"azuretable:s3cr==",
			"azuretable:xxxxx",
		},
		{
			"router:a.json",
			"router:a.json",
		},
	} {
		got := shown(c.address)
		if strings.Contains(got, "s3cr") || got != c.want {
			t.Errorf("%s\n\tis shown as %s,\n\twant        %s", c.address, got, c.want)
		}
	}
}

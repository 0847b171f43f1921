package azuretable

// What the tests look at from inside.
var (
	Encode           = encode
	StreamKey        = streamKey
	RecordsPartition = recordsPartition
	Source           = source
	VersionKey       = versionKey
	ParseVersion     = parseVersion
)

package main

import "github.com/spf13/cobra"

// Topics are help without a command: "daybook help stores".

func storesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "stores",
		Short: "How a store is named",
		Long: `A store is named by --store URL on every subcommand, else by the environment
variable DAYBOOK_STORE, else it is ` + defaultStore + `.

  file:DIR         The files in a directory. A subcommand that writes creates
                   it, and needs to be the only one that writes: while a server
                   runs on it, write through the server. Subcommands that only
                   read open it read-only, at any time.
  postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME
                   A schema of a PostgreSQL database, "daybook" unless it is
                   named. What is not in the URL comes from PGHOST, PGUSER,
                   PGPASSWORD, the password file and so on. Subcommands that
                   write make the tables where there are none, unless
                   --no-migrate is given; those that only read never do.
  sqlserver://USER:PASSWORD@HOST:PORT?database=NAME&schema=NAME
                   A schema of a SQL Server database, on the same terms; this
                   has not yet run against a server.
  azureblob:CONNECTION-STRING;Container=NAME
  azureblob://ACCOUNT.blob.core.windows.net/NAME
                   The append blobs of a container of Azure, with the key or
                   signature of the connection string, or with the identity of
                   the program. Put a connection string between quotes.
  stream:DIR       The same log in a file, DIR/stream.bin: a backup of append
                   blobs, or a store of its own. On the terms of file:DIR.
  azuretable:CONNECTION-STRING;Table=NAME
  azuretable://ACCOUNT.table.core.windows.net/NAME
                   A table of Azure, on the same terms.
  cosmos:AccountEndpoint=URL;AccountKey=KEY;Database=NAME;Container=NAME
  cosmos://ACCOUNT.documents.azure.com/DATABASE/CONTAINER
                   A container of Cosmos DB, on the same terms; this has not yet
                   run against the service.
  azuretable-functions:CONNECTION-STRING;Domain=NAME
                   What the .NET library EventsSourcing on Azure Functions wrote
                   to tables and append blobs: to read, and to import from.
  router:FILE      Several stores as one: FILE names them by their URLs, and says
                   which streams go where; docs/router.md shows one.
  dynamodb://REGION/TABLE?endpoint=URL
                   A table of Amazon DynamoDB, of the Elastic Event Store too;
                   the endpoint is for another server than that of the region.
                   Credentials come from AWS_ACCESS_KEY_ID, a profile or a role,
                   never from the URL. Subcommands that write make the table
                   where there is none, unless --no-migrate is given.
  http://HOST      A Daybook server, here or elsewhere.
  https://HOST     The same, encrypted.
  mem:             A store in memory that is gone when the command ends: to
                   try "daybook serve" without leaving anything behind.`,
	}
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `  0    done
  1    failed: the reason stands on standard error; for an append, the outcome
       is unknown unless it says "refused": send it again with the same --id.
       "daybook verify" ends so when it has found something
  2    wrong usage or invalid input; nothing was stored
  3    conflict: the store is not in the state that the append expects, or an
       import finds other records; nothing of the append was stored
  4    not found: the stream has no records
  5    the store cannot be opened or reached: it does not exist, another process
       is writing it, the server does not answer or refuses the user, the tables
       have another version, the database only reads
  130  interrupted

Errors are one line on standard error, "daybook: ...", often with a hint below.
With --json they are one JSON object with "error", "message", "exit_code", the
hint if there is one, and what else is known (see docs/http.md).`,
	}
}

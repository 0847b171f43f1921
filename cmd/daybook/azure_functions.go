package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/hosting/azurefunctions"
	"github.com/daybook-go/daybook/httpapi"
)

const routePrefixVariable = "DAYBOOK_ROUTE_PREFIX"

func (p *program) azureFunctionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "azure-functions",
		GroupID: "keep",
		Short:   "Serve the store as a custom handler of Azure Functions",
		Long: `Serves the store to the host of Azure Functions, which starts it and names the port
in FUNCTIONS_CUSTOMHANDLER_PORT. docs/azure-functions.md shows how it is deployed.
It is configured by the environment:

  DAYBOOK_STORE          the store
  DAYBOOK_ROUTE_PREFIX   what host.json puts in front of all routes (default none)
  DAYBOOK_LOG_LEVEL      debug, info (the default), warn or error`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.azureFunctions(command.Context()) },
	}
}

func (p *program) azureFunctions(ctx context.Context) error {
	level := p.getenv(logLevelVariable)
	if level == "" {
		level = "info"
	}
	log, err := p.logger("json", level)
	if err != nil {
		return err
	}
	listener, err := azurefunctions.Listen(ctx, p.getenv(azurefunctions.PortVariable))
	if err != nil {
		return hinted(usageError(err), "a server is started by daybook serve")
	}
	defer listener.Close()
	driver, err := p.openDriver(ctx, opening{address: p.address(), access: writing, log: log})
	if err != nil {
		return err
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	options := &azurefunctions.Options{Prefix: p.getenv(routePrefixVariable), API: httpapi.Options{Version: version(), Logger: log}}
	log.Info("serving", "address", listener.Addr().String(), "store", shown(p.address()), "version", version())
	err = httpapi.Serve(ctx, listener, azurefunctions.Handler(store, options), &httpapi.ServerOptions{Logger: log})
	if closing := store.Close(); err == nil {
		err = closing
	}
	return err
}

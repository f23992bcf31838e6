// Command odarchive is the command line for archive users and operators.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/odarchive/odarchive/internal/cli"
	"github.com/odarchive/odarchive/internal/rebuild/database"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { // a second Ctrl-C kills
		<-ctx.Done()
		stop()
	}()
	os.Exit(cli.Program{Rebuild: database.Open}.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

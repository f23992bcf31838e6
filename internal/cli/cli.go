// Package cli is the command line of odarchive: what people type and what they see. Everything that it does it asks of
// internal/client, or without a controller of archive/project; it knows terminals, words and exit codes.
package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/client"
	"github.com/odarchive/odarchive/internal/rebuild"
)

// Version is what `odarchive version` prints.
const Version = "1.0.0-dev"

// AddressVariable names the environment variable with the controller's address.
const AddressVariable = "ODARCHIVE_CONTROLLER"

// app is one run of the program.
type app struct {
	address        string
	json, quiet    bool
	ca, cert, key  string
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool   // stderr is one
	partial        bool   // something was left out
	after          string // what becomes of what has been begun when the command is interrupted now
	openCatalogue  rebuild.Opener
}

// Run runs the command line and returns the exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return Program{}.Run(ctx, args, stdout, stderr)
}

// Program is the command line together with what this package may not link. The zero value is all but that.
type Program struct {
	// Rebuild opens the database for `odarchive rebuild`; without it there is no such command.
	Rebuild rebuild.Opener
}

// Run runs the command line and returns the exit code.
func (p Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdin: os.Stdin, stdout: stdout, stderr: stderr, terminal: isTerminal(stderr), openCatalogue: p.Rebuild}
	return a.run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	a.stderr = &shared{w: a.stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	code := exitCode(err)
	if err != nil {
		a.complain(err)
	} else if a.partial {
		code = ExitPartial
	}
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "odarchive",
		Short: "Keep files for fifty years on write-once optical discs",
		Long: `odarchive archives folders on optical discs in a library that a robot serves, and brings them back.

Every disc can be read by any computer without this program. What you archive is stored once however often it occurs, is burned,
taken out, loaded again and read back whole before it counts as safe.`,
		Example: `  odarchive put ~/photos --wait         archive a folder and wait until it is safe on discs
  odarchive archives                    what there is
  odarchive get 3f2a --to /tmp/back     bring an archive back
  odarchive help exit-codes             what the program's exit codes mean`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	f := root.PersistentFlags()
	f.StringVar(&a.address, "controller", "", "address of the controller, unix:///path or host:port (default $"+AddressVariable+", else its usual socket)")
	f.BoolVar(&a.json, "json", false, "print data as JSON")
	f.BoolVar(&a.quiet, "quiet", false, "no progress")
	f.StringVar(&a.ca, "tls-ca", "", "file of the authority that vouches for the controller (PEM)")
	f.StringVar(&a.cert, "tls-cert", "", "certificate to show the controller (PEM)")
	f.StringVar(&a.key, "tls-key", "", "its key (PEM)")
	machines := []*cobra.Command{a.library(), a.drives(), a.discs(), a.scrub(), a.stats()}
	if a.openCatalogue != nil {
		machines = append(machines, a.rebuild())
	}
	const archives, machine = "archives", "machine"
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{archives, "Archives, in a vault of a controller:", []*cobra.Command{a.put(), a.get(), a.ls(), a.archives(), a.vaults(), a.jobs(), a.wait()}},
		{machine, "Libraries of discs, for their operators:", machines},
		{offline, "Without a controller, on this machine alone (the names of odarchive 0.1 work too):", append(
			a.ancestors(), a.iso(), a.ecc(), a.set(), a.survey(), a.compare(), a.simulate(), a.durability(),
		)},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(a.version(), exitCodesTopic())
	wrapArgs(root)
	a.completeVaults(root)
	return root
}

// wrapArgs makes wrong arguments, and flags that are missing, errors of usage.
func wrapArgs(c *cobra.Command) {
	check := c.Args
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			err = cmd.ValidateRequiredFlags() // which cobra would do later, with an error that nothing tells from others
		}
		if err != nil {
			return usage(cmd, err)
		}
		return nil
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

// dial connects to the controller; the caller closes.
func (a *app) dial() (*client.Client, error) {
	address := a.address
	if address == "" {
		address = os.Getenv(AddressVariable)
	}
	if address == "" {
		address = "unix://" + defaultSocket()
	}
	config, err := a.tls()
	if err != nil {
		return nil, err
	}
	return client.Dial(address, config)
}

// defaultSocket is a user's own controller's socket when there is one, and otherwise the system's.
func defaultSocket() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		own := filepath.Join(dir, "odarchive", "controller.sock")
		if _, err := os.Stat(own); err == nil {
			return own
		}
	}
	return "/run/odarchive/controller.sock"
}

func (a *app) tls() (*tls.Config, error) {
	if a.ca == "" && a.cert == "" && a.key == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(a.ca)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authority: %s holds no certificate", a.ca)
	}
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	if a.cert != "" || a.key != "" {
		pair, err := tls.LoadX509KeyPair(a.cert, a.key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// with runs f with a connection.
func (a *app) with(f func(c *client.Client) error) (err error) {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	c.Retrying = a.retrying()
	return reached(c.Address(), f(c))
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the program's version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.print(map[string]string{"version": Version}, func(w io.Writer) { fmt.Fprintln(w, "odarchive", Version) })
		},
	}
}

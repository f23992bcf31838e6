// Command controller keeps an odarchive library: the catalogue in Postgres, staging, and the work of all agents.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/odarchive/odarchive/internal/controller"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	m := &controller.Main{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	var cert, key, ca string
	c := &cobra.Command{
		Use:   "controller --data DIR",
		Short: "Keep an odarchive library",
		Long: `Serves clients, operators and agents over gRPC. Without --database it runs a private PostgreSQL, from the binaries that it finds on
this machine, in DIR/postgres, and stops it when it ends.

Without --listen it serves on the unix socket DIR/controller.sock, which only its own user may open. For other hosts give
--tls-cert, --tls-key and --tls-ca: then only holders of a certificate of that authority are served.`,
		Example:      "  controller --data /var/lib/odarchive\n  controller --data /var/lib/odarchive --listen 127.0.0.1:7410 --database 'host=/run/postgresql dbname=odarchive'",
		Args:         cobra.NoArgs,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if m.DataDir == "" {
				return errors.New("say with --data which folder the database and staging are in; see `controller --help`")
			}
			if m.TLS, err = readTLS(cert, key, ca); err != nil {
				return err
			}
			return m.Run(cmd.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&m.DataDir, "data", "", "folder for the database, staging and the socket")
	f.StringVar(&m.Database, "database", "", "address of a PostgreSQL database to use instead of a private one")
	f.StringArrayVar(&m.Listen, "listen", nil, "address to serve on, unix:///path or host:port; may be repeated")
	f.StringVar(&cert, "tls-cert", "", "certificate file (PEM)")
	f.StringVar(&key, "tls-key", "", "its key file (PEM)")
	f.StringVar(&ca, "tls-ca", "", "file of the authority whose certificates clients and agents must have (PEM)")
	f.StringVar(&m.StagingDir, "staging", "", "folder of staging and cache; default in the data folder")
	f.Int64Var(&m.StagingReserve, "staging-reserve", 1<<30, "bytes that stay free on the staging disk")
	f.Int64Var(&m.StagingLimit, "staging-limit", 0, "bytes that staging and cache may hold; 0 for what the disk offers")
	f.IntVar(&m.Builds, "builds", 2, "images that one agent builds at a time")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w; see `controller --help`", err) })
	return c
}

func readTLS(cert, key, ca string) (*tls.Config, error) {
	if cert == "" && key == "" && ca == "" {
		return nil, nil
	}
	if cert == "" || key == "" || ca == "" {
		return nil, errors.New("TLS takes all of --tls-cert, --tls-key and --tls-ca")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authority: %s holds no certificate", ca)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}, nil
}

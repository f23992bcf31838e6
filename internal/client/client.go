// Package client is what a user's machine does: scan a tree, upload what is new, seal an archive, bring one back. It knows the
// contract in proto and the file system, and nothing of terminals: whoever calls it shows what it reports.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// Client talks to one controller. Its methods may be called by several goroutines.
type Client struct {
	Vaults     pb.VaultServiceClient
	Archives   pb.ArchiveServiceClient
	Retrievals pb.RetrievalServiceClient
	Jobs       pb.JobServiceClient
	Library    pb.LibraryServiceClient
	Health     pb.HealthServiceClient

	address string
	conn    *grpc.ClientConn
}

// Dial prepares to talk to the controller at address: "unix:///path" or "host:port". Nothing is sent yet. TLS is used when given.
func Dial(address string, config *tls.Config) (*Client, error) {
	creds := insecure.NewCredentials()
	if config != nil {
		creds = credentials.NewTLS(config)
	}
	target := address
	if !strings.HasPrefix(address, "unix:") {
		target = "dns:///" + address
	}
	conn, err := grpc.NewClient(
		target, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)),
		grpc.WithInitialWindowSize(4<<20), grpc.WithInitialConnWindowSize(8<<20),
		grpc.WithReadBufferSize(256<<10), grpc.WithWriteBufferSize(256<<10),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
	)
	if err != nil {
		return nil, fmt.Errorf("dial controller %s: %w", address, err)
	}
	return &Client{
		Vaults: pb.NewVaultServiceClient(conn), Archives: pb.NewArchiveServiceClient(conn), Retrievals: pb.NewRetrievalServiceClient(conn),
		Jobs: pb.NewJobServiceClient(conn), Library: pb.NewLibraryServiceClient(conn), Health: pb.NewHealthServiceClient(conn), address: address, conn: conn,
	}, nil
}

// Address returns the address that was dialled.
func (c *Client) Address() string { return c.address }

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Progress is how far something is. Total is 0 while nobody knows it.
type Progress struct {
	Stage string // "scan", "upload", "seal", "wait", "download": one follows the other
	// Files and Bytes are done, of so many.
	Files, TotalFiles int64
	Bytes, TotalBytes int64
	// Note is what is being done now, in words, or what an operator must do.
	Note string
}

// report calls f, which may be nil.
func report(f func(Progress), p Progress) {
	if f != nil {
		f(p)
	}
}

// patience is how often something is tried while the controller can't be reached or has no time; with waits that double from
// firstWait to lastWait that is about two minutes.
const (
	patience  = 20
	firstWait = 200 * time.Millisecond
	lastWait  = 10 * time.Second
)

// transient says whether err may pass by itself.
func transient(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted:
		return true
	default:
		return false
	}
}

// retry calls f until it succeeds, fails for good, or has failed too often without made having grown.
func retry(ctx context.Context, made func() int64, f func() error) error {
	wait, before := firstWait, int64(-1)
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || !transient(err) || ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if n := made(); n > before {
			before, attempt, wait = n, 1, firstWait
		}
		if attempt == patience {
			return err
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		wait = min(2*wait, lastWait)
	}
}

// always is for retry when nothing counts as having got further.
func always() int64 { return 0 }

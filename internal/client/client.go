// Package client is what a user's machine does: scan a tree, upload what is new, seal an archive, bring one back. It knows the
// contract in proto and the file system, and nothing of terminals: whoever calls it shows what it reports.
package client

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/odarchive/odarchive/internal/descriptor"
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

	// Retrying, when not nil, is told that the controller can't be reached or has no time, and until when that is tried again before it
	// becomes an error: at each try, by any goroutine. Set it before the first call.
	Retrying func(err error, until time.Time)

	address string
	conn    *grpc.ClientConn
	met     atomic.Bool // the controller has answered once
	files   string      // the socket at which the controller passes files, on this host; empty elsewhere
	refused atomic.Bool // no file was had there: bytes are asked for instead
}

// Dial prepares to talk to the controller at address: "unix:///path" or "host:port". Nothing is sent yet. TLS is used when given.
func Dial(address string, config *tls.Config) (*Client, error) {
	return dial(address, config)
}

func dial(address string, config *tls.Config, options ...grpc.DialOption) (*Client, error) {
	creds := insecure.NewCredentials()
	if config != nil {
		creds = credentials.NewTLS(config)
	}
	target := address
	if !strings.HasPrefix(address, "unix:") {
		target = "dns:///" + address
	}
	conn, err := grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16 << 20)),
		grpc.WithInitialWindowSize(4 << 20), grpc.WithInitialConnWindowSize(8 << 20),
		grpc.WithReadBufferSize(256 << 10), grpc.WithWriteBufferSize(256 << 10),
		// A host that says nothing is given up in seconds, and one that was away is soon tried again.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: firstWait, Multiplier: 2, Jitter: 0.2, MaxDelay: lastWait / 2}, MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
	}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("dial controller %s: %w", address, err)
	}
	return &Client{
		Vaults: pb.NewVaultServiceClient(conn), Archives: pb.NewArchiveServiceClient(conn), Retrievals: pb.NewRetrievalServiceClient(conn),
		Jobs: pb.NewJobServiceClient(conn), Library: pb.NewLibraryServiceClient(conn), Health: pb.NewHealthServiceClient(conn), address: address, conn: conn,
		files: descriptor.Beside(address),
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
	// Waits says that nothing goes on until somebody does what Note says.
	Waits bool
}

// report calls f, which may be nil.
func report(f func(Progress), p Progress) {
	if f != nil {
		f(p)
	}
}

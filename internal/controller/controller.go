// Package controller is the server: gRPC services, thin, over the catalogue and the staging store, and the loops that plan
// images and keep house. It decides nothing that library can decide, never links a device, and meets agents only in proto.
package controller

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/odarchive/odarchive/internal/descriptor"
	"github.com/odarchive/odarchive/internal/pgserver"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// Main is a controller. Its fields are set before Run.
type Main struct {
	// DataDir holds the private PostgreSQL, staging and the default socket.
	DataDir string
	// Database is the address of a database to use instead of a private PostgreSQL.
	Database string
	// Listen are addresses to serve on: "unix:///path" or "host:port". None means a socket in DataDir.
	Listen []string
	// TLS protects the addresses that are not unix sockets; nil means plain text.
	TLS *tls.Config
	// StagingDir is where contents are kept until they are safe; empty means in DataDir.
	StagingDir string
	// StagingReserve is how many bytes of the staging disk stay free; StagingLimit how many staging may hold, 0 for no limit.
	StagingReserve, StagingLimit int64
	// Builds is how many images an agent builds at a time; 0 means 2.
	Builds int
	Log    *slog.Logger
	// Ready, when not nil, is called once with the addresses that are served.
	Ready func(addresses []string)
}

// Run serves until ctx ends, then stops in order: requests, loops, staging, PostgreSQL.
func (m *Main) Run(ctx context.Context) (err error) {
	if err := m.check(); err != nil {
		return err
	}
	if m.Log == nil {
		m.Log = slog.Default()
	}
	if err := os.MkdirAll(m.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	dsn := m.Database
	var died <-chan struct{}
	if dsn == "" {
		server, err := pgserver.Start(ctx, pgserver.Config{Dir: filepath.Join(m.DataDir, "postgres")})
		if err != nil {
			return err
		}
		m.Log.Info("started PostgreSQL", "dir", filepath.Join(m.DataDir, "postgres"))
		defer func() {
			if e := server.Stop(); err == nil && e != nil {
				err = e
			}
		}()
		dsn, died = server.DSN("postgres"), server.Died()
	}
	store, err := postgres.Open(ctx, dsn)
	if err != nil {
		return err
	}
	defer store.Close()
	stage, err := m.openStaging(ctx, store)
	if err != nil {
		return err
	}
	defer stage.Close()
	return m.serve(ctx, store, stage, died)
}

// maxBuilds is more than a host can build at a time.
const maxBuilds = 64

// check refuses what can't be meant.
func (m *Main) check() error {
	switch {
	case m.StagingReserve < 0:
		return fmt.Errorf("a staging reserve of %d bytes: want 0 or more", m.StagingReserve)
	case m.StagingLimit < 0:
		return fmt.Errorf("a staging limit of %d bytes: want 1 or more, or 0 for what the disk offers", m.StagingLimit)
	case m.Builds < 0 || m.Builds > maxBuilds:
		return fmt.Errorf("%d builds at a time: want 1 to %d", m.Builds, maxBuilds)
	}
	return nil
}

func (m *Main) openStaging(ctx context.Context, store *postgres.Store) (*staging.Store, error) {
	dir := m.StagingDir
	if dir == "" {
		dir = filepath.Join(m.DataDir, "staging")
	}
	stage, err := staging.Open(staging.Config{Dir: dir, Reserve: m.StagingReserve, Limit: m.StagingLimit})
	if err != nil {
		return nil, err
	}
	known, last, err := store.Segments(ctx)
	if err != nil {
		return nil, errors.Join(err, stage.Close())
	}
	if err := stage.Sweep(last, func(id int64) bool { return known[id] }); err != nil {
		return nil, errors.Join(err, stage.Close())
	}
	return stage, nil
}

// errPostgresDied ends a controller whose private PostgreSQL has ended.
var errPostgresDied = errors.New("the private PostgreSQL has died: its log in the data folder says why; start the controller again")

// drainTime is how long running requests get when the controller stops.
const drainTime = 5 * time.Second

func (m *Main) serve(ctx context.Context, store *postgres.Store, stage *staging.Store, died <-chan struct{}) error {
	changes := &hub{}
	sync, err := newSyncer(ctx, store, stage, m.Log)
	if err != nil {
		return err
	}
	listen := m.Listen
	if len(listen) == 0 {
		listen = []string{"unix://" + filepath.Join(m.DataDir, "controller.sock")}
	}
	var files *descriptor.Desk
	if slices.ContainsFunc(listen, func(address string) bool { return descriptor.Beside(address) != "" }) {
		files = &descriptor.Desk{}
	}
	server, ready := m.newServer(store, stage, changes, sync, files)
	g, ctx := errgroup.WithContext(ctx)
	var addresses []string
	for _, address := range listen {
		l, shown, err := m.listen(address)
		if err != nil {
			server.Stop()
			return err
		}
		addresses = append(addresses, shown)
		g.Go(func() error { return server.Serve(l) })
		if beside := descriptor.Beside(address); beside != "" {
			l, err := listenUnix(beside)
			if err != nil {
				server.Stop()
				return err
			}
			g.Go(func() error { return files.Serve(ctx, l) })
		}
	}
	g.Go(func() error { return store.Listen(ctx, changes.changed) })
	p := &planner{store: store, log: m.Log}
	g.Go(func() error { return p.run(ctx, changes) })
	k := &keeper{store: store, staging: stage, log: m.Log}
	g.Go(func() error { return k.run(ctx, changes) })
	g.Go(func() error { return sync.run(ctx) })
	t := &tender{store: store, log: m.Log}
	g.Go(func() error { return t.run(ctx, changes) })
	c := &calendar{store: store, log: m.Log}
	g.Go(func() error { return c.run(ctx) })
	watch := &watcher{store: store, ready: ready, log: m.Log}
	g.Go(func() error { return watch.run(ctx) })
	g.Go(func() error {
		select {
		case <-died:
			return errPostgresDied
		case <-ctx.Done():
			return nil
		}
	})
	g.Go(func() error {
		<-ctx.Done()
		ready.Shutdown()
		stopped := make(chan struct{})
		go func() { server.GracefulStop(); close(stopped) }()
		changes.changed("") // calls that wait have nothing to wait for
		select {
		case <-stopped:
		case <-time.After(drainTime):
			server.Stop()
			<-stopped
		}
		return nil
	})
	m.Log.Info("serving", "addresses", strings.Join(addresses, " "))
	if m.Ready != nil {
		m.Ready(addresses)
	}
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (m *Main) newServer(store *postgres.Store, stage *staging.Store, changes *hub, sync *syncer, files *descriptor.Desk) (*grpc.Server, *health.Server) {
	f := faults{log: m.Log}
	builds := m.Builds
	if builds == 0 {
		builds = 2
	}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(f.unary), grpc.StreamInterceptor(f.stream),
		grpc.MaxRecvMsgSize(16<<20), grpc.InitialWindowSize(4<<20), grpc.InitialConnWindowSize(8<<20),
		grpc.ReadBufferSize(256<<10), grpc.WriteBufferSize(256<<10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 20 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	)
	pb.RegisterVaultServiceServer(server, &vaultServer{store: store})
	pb.RegisterArchiveServiceServer(server, &archiveServer{store: store, staging: stage})
	pb.RegisterRetrievalServiceServer(server, &retrievalServer{store: store, staging: stage, hub: changes, files: files})
	pb.RegisterJobServiceServer(server, &jobServer{store: store, hub: changes})
	pb.RegisterLibraryServiceServer(server, &libraryServer{store: store})
	pb.RegisterHealthServiceServer(server, &healthServer{store: store})
	pb.RegisterAgentServiceServer(server, &agentServer{store: store, staging: stage, hub: changes, files: files, syncer: sync, log: m.Log, builds: builds})
	ready := health.NewServer()
	healthpb.RegisterHealthServer(server, ready)
	reflection.Register(server)
	return server, ready
}

// loopback says whether only this machine reaches an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// listen opens an address and returns how a client names it.
func (m *Main) listen(address string) (net.Listener, string, error) {
	path, unix := strings.CutPrefix(address, "unix://")
	if !unix {
		if m.TLS == nil && !loopback(address) {
			return nil, "", fmt.Errorf("listen on %s: it would serve everybody in plain text: give --tls-cert, --tls-key and --tls-ca, or listen on 127.0.0.1", address)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, "", fmt.Errorf("listen on %s: %w", address, err)
		}
		shown := l.Addr().String()
		if m.TLS != nil {
			c := m.TLS.Clone()
			c.NextProtos = []string{"h2"}
			l = tls.NewListener(l, c)
		}
		return l, shown, nil
	}
	l, err := listenUnix(path)
	if err != nil {
		return nil, "", err
	}
	return l, address, nil
}

// listenUnix opens a unix socket that only this user, and root, may talk to.
func listenUnix(path string) (*net.UnixListener, error) {
	// A socket that a killed process left behind would refuse everybody; one that answers belongs to somebody.
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("listen on %s: another process serves there", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return l, nil
}

package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/tree"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// Get says what to bring back and where to.
type Get struct {
	Archive *pb.Archive
	// Paths in the archive, each with all below it; none means everything.
	Paths  []string
	Target string
	// Overwrite takes the place of files that exist; without it they are an error before anything is asked for.
	Overwrite bool
	// Owners gives files their owners back.
	Owners bool
	Tier   pb.Tier
	// Retrieval is one that was started before, by id; empty starts one.
	Retrieval string
	// Quote is one that is accepted by starting the retrieval, by id; empty for none.
	Quote string
	// Started is told the retrieval's id, so that it can be gone on with later.
	Started func(id string)
	// Progress is told how far it is, by one goroutine at a time.
	Progress func(Progress)
	// Unmade is told of each device that could not be made because that takes privileges.
	Unmade func(path string)
}

// Get brings an archive, or some paths of it, back into a folder. A file has its name there only when it is whole and checked.
func (c *Client) Get(ctx context.Context, g Get) error {
	entries, err := c.manifest(ctx, g.Archive, g.Paths)
	if err != nil {
		return err
	}
	restore, err := tree.NewRestore(g.Target, entries)
	if err != nil {
		return err
	}
	defer restore.Close()
	restore.Overwrite, restore.Owners, restore.Sync = g.Overwrite, g.Owners, true
	if err := restore.Begin(); err != nil {
		return err
	}
	if g.Retrieval == "" {
		g.Retrieval = uuid.NewString()
	}
	if err := c.begin(ctx, &g); err != nil {
		return err
	}
	d := newDownloader(c, &g, restore)
	if err := d.run(ctx); err != nil {
		return err
	}
	if err := restore.Finish(ctx); err != nil {
		return err
	}
	for _, path := range restore.Unmade() {
		if g.Unmade != nil {
			g.Unmade(path)
		}
	}
	return nil
}

// manifest reads an archive's entries; of a whole archive they are checked against its root hash.
func (c *Client) manifest(ctx context.Context, a *pb.Archive, paths []string) (entries []archive.Entry, err error) {
	err = c.retry(ctx, always, func() error {
		entries = nil
		r, err := c.Manifest(ctx, a.GetId(), paths, false)
		if err != nil {
			return err
		}
		for e, err := range r.Entries() {
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		if root := r.Hash(); len(paths) == 0 && string(root[:]) != string(a.GetRootHash()) {
			return fmt.Errorf("the manifest of archive %s has the hash %v, not %x: the controller's catalogue is damaged", a.GetId(), root, a.GetRootHash())
		}
		return nil
	})
	return entries, err
}

// Manifest returns a reader of an archive's manifest, or of the part of it below paths; with children only of what lies directly
// in the one folder that paths names. Ending ctx ends it.
func (c *Client) Manifest(ctx context.Context, id string, paths []string, children bool) (*catalogue.ManifestReader, error) {
	stream, err := c.Archives.ReadManifest(ctx, &pb.ReadManifestRequest{ArchiveId: id, Paths: bytesOf(paths), ChildrenOnly: children})
	if err != nil {
		return nil, err
	}
	return catalogue.NewManifestReader(&chunks{stream: stream}), nil
}

func bytesOf(paths []string) [][]byte {
	var b [][]byte
	for _, p := range paths {
		b = append(b, []byte(p))
	}
	return b
}

// chunks is a stream of a manifest as an io.Reader.
type chunks struct {
	stream grpc.ServerStreamingClient[pb.ManifestChunk]
	rest   []byte
}

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		m, err := c.stream.Recv()
		if err != nil {
			return 0, err
		}
		c.rest = m.GetData()
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// begin starts the retrieval.
func (c *Client) begin(ctx context.Context, g *Get) error {
	err := c.retry(ctx, always, func() error {
		_, err := c.Retrievals.StartRetrieval(ctx, &pb.StartRetrievalRequest{
			Id: g.Retrieval, ArchiveId: g.Archive.GetId(), Paths: bytesOf(g.Paths), Tier: g.Tier, QuoteId: g.Quote,
		})
		return err
	})
	if err != nil {
		return err
	}
	if g.Started != nil {
		g.Started(g.Retrieval)
	}
	return nil
}

// Wait waits until a job has ended, and returns an error when it didn't succeed.
func (c *Client) Wait(ctx context.Context, id string, progress func(Progress)) (job *pb.Job, err error) {
	updates := int64(0)
	err = c.retry(ctx, func() int64 { return updates }, func() error {
		stream, err := c.Jobs.WatchJob(ctx, &pb.WatchJobRequest{Id: id})
		if err != nil {
			return err
		}
		for {
			j, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			job = j
			updates++
			report(progress, Progress{Stage: "wait", Bytes: j.GetBytesDone(), TotalBytes: j.GetBytes(), Note: note(j), Waits: j.GetWaitingFor() != ""})
		}
	})
	if err != nil {
		return job, err
	}
	switch job.GetState() {
	case pb.JobState_JOB_STATE_FAILED, pb.JobState_JOB_STATE_CANCELLED:
		return job, &JobError{job}
	}
	return job, nil
}

// note says in one line what a job does, or what it waits for.
func note(j *pb.Job) string {
	if w := j.GetWaitingFor(); w != "" {
		return "waiting: " + w
	}
	s := ""
	for i, d := range j.GetDoing() {
		if i > 0 {
			s += ", "
		}
		s += d
	}
	return s
}

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
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
}

// downloadStreams is how many downloads run beside each other.
const downloadStreams = 2

// Limits of one download request: it is asked for again as a whole when it fails.
const (
	downloadCount = 4096
	downloadBytes = 64 << 20
)

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
	restore.Overwrite, restore.Owners = g.Overwrite, g.Owners
	if err := restore.Begin(); err != nil {
		return err
	}
	if g.Retrieval == "" {
		g.Retrieval = uuid.NewString()
	}
	if err := c.retrieve(ctx, &g); err != nil {
		return err
	}
	d := &downloader{client: c, get: &g, restore: restore}
	if err := d.run(ctx); err != nil {
		return err
	}
	return restore.Finish(ctx)
}

// manifest reads an archive's entries; of a whole archive they are checked against its root hash.
func (c *Client) manifest(ctx context.Context, a *pb.Archive, paths []string) (entries []archive.Entry, err error) {
	err = retry(ctx, always, func() error {
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

// retrieve starts the retrieval and waits until its contents are in the cache.
func (c *Client) retrieve(ctx context.Context, g *Get) error {
	err := retry(ctx, always, func() error {
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
	_, err = c.Wait(ctx, g.Retrieval, g.Progress)
	return err
}

// Wait waits until a job has ended, and returns an error when it didn't succeed.
func (c *Client) Wait(ctx context.Context, id string, progress func(Progress)) (job *pb.Job, err error) {
	updates := int64(0)
	err = retry(ctx, func() int64 { return updates }, func() error {
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
			report(progress, Progress{Stage: "wait", Bytes: j.GetBytesDone(), TotalBytes: j.GetBytes(), Note: note(j)})
		}
	})
	if err != nil {
		return job, err
	}
	switch job.GetState() {
	case pb.JobState_JOB_STATE_FAILED:
		return job, fmt.Errorf("job %s failed: %s", job.GetId(), job.GetError())
	case pb.JobState_JOB_STATE_CANCELLED:
		return job, fmt.Errorf("job %s was cancelled", job.GetId())
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

type downloader struct {
	client  *Client
	get     *Get
	restore *tree.Restore

	mu       sync.Mutex
	progress Progress
}

// content is a content and the files that want it.
type content struct {
	archive.Content
	files []*archive.Entry
	open  *tree.File // of the first, while it is being written
}

func (d *downloader) run(ctx context.Context) error {
	contents := d.contents()
	batches := make(chan []*content)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		for len(contents) > 0 {
			n, bytes := 0, int64(0)
			for n < len(contents) && n < downloadCount && bytes < downloadBytes {
				bytes += contents[n].Size
				n++
			}
			select {
			case batches <- contents[:n]:
				contents = contents[n:]
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range downloadStreams {
		g.Go(func() error {
			for b := range batches {
				if err := d.batch(ctx, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// contents gathers the files of each content, in the order of their first paths.
func (d *downloader) contents() []*content {
	index := map[archive.Hash]*content{}
	var all []*content
	for _, e := range d.restore.Files() {
		c := index[e.Content.Hash]
		if c == nil {
			c = &content{Content: e.Content}
			index[e.Content.Hash] = c
			all = append(all, c)
			d.progress.TotalBytes += e.Content.Size
		}
		c.files = append(c.files, e)
		d.progress.TotalFiles++
	}
	d.progress.Stage = "download"
	return all
}

func (d *downloader) add(files, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress.Files += files
	d.progress.Bytes += bytes
	report(d.get.Progress, d.progress)
}

// batch downloads contents; what an interrupted stream has brought is not asked for again.
func (d *downloader) batch(ctx context.Context, todo []*content) error {
	defer func() {
		for _, c := range todo {
			if c.open != nil {
				c.open.Abort()
			}
		}
	}()
	made := int64(0)
	return retry(ctx, func() int64 { return made }, func() error {
		if len(todo) == 0 {
			return nil
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		req := &pb.DownloadRequest{RetrievalId: d.get.Retrieval}
		for _, c := range todo {
			r := &pb.DownloadRange{Hash: c.Hash[:]}
			if c.open != nil {
				r.Offset = c.open.Size()
			}
			req.Ranges = append(req.Ranges, r)
		}
		stream, err := d.client.Retrievals.Download(ctx, req)
		if err != nil {
			return err
		}
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				if len(todo) > 0 {
					return fmt.Errorf("download: the controller ended before content %v", todo[0].Hash)
				}
				return nil
			} else if err != nil {
				return err
			}
			for _, p := range m.GetPieces() {
				if len(todo) == 0 || string(p.GetHash()) != string(todo[0].Hash[:]) {
					return fmt.Errorf("download: content %x came, which was not asked for", p.GetHash())
				}
				done, err := d.piece(todo[0], p)
				if err != nil {
					return err
				}
				made += int64(len(p.GetData()))
				if done {
					todo = todo[1:]
				}
			}
		}
	})
}

// piece writes a piece of a content and says whether that was the last.
func (d *downloader) piece(c *content, p *pb.Piece) (done bool, err error) {
	if c.open == nil {
		if c.open, err = d.restore.Create(c.files[0]); err != nil {
			return false, err
		}
	}
	if p.GetOffset() != c.open.Size() {
		return false, fmt.Errorf("download: content %v goes on at %d, want %d", c.Hash, p.GetOffset(), c.open.Size())
	}
	if _, err := c.open.Write(p.GetData()); err != nil {
		return false, err
	}
	d.add(0, int64(len(p.GetData())))
	if c.open.Size() < c.Size {
		return false, nil
	}
	f := c.open
	c.open = nil
	if err := f.Commit(); err != nil {
		return false, err
	}
	d.add(1, 0)
	for _, e := range c.files[1:] {
		if err := d.duplicate(c.files[0], e); err != nil {
			return false, err
		}
		d.add(1, 0)
	}
	return true, nil
}

// duplicate gives another file the content of one that has been restored.
func (d *downloader) duplicate(from, to *archive.Entry) error {
	in, err := d.restore.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := d.restore.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, pieceSize)); err != nil {
		out.Abort()
		return err
	}
	return out.Commit()
}

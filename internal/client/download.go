package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/tree"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// downloadStreams is how many downloads run beside each other, commits how many finished files are made durable meanwhile: the file
// system writes the journal once for all that wait for it.
const (
	downloadStreams = 3
	commits         = 16
)

// Limits of one download request: it is asked for again as a whole when it fails.
const (
	downloadCount = 4096
	downloadBytes = 64 << 20
)

// downloader brings a retrieval's contents into their files, as they come back from discs.
type downloader struct {
	client  *Client
	get     *Get
	restore *tree.Restore
	wanted  map[archive.Hash]*content // that nobody has been sent for
	order   []*content                // all, in the order of their first paths
	commits *errgroup.Group
	last    bool // the job has succeeded: everything is within reach

	mu       sync.Mutex // of what follows
	progress Progress
	reading  bool       // the job runs: its progress is what is shown
	again    []*content // were within reach and are not any more
}

// content is a content and the files that want it.
type content struct {
	archive.Content
	files []*archive.Entry
	open  *tree.File // of the first, while it is being written
}

// newDownloader gathers the files of each content.
func newDownloader(c *Client, g *Get, restore *tree.Restore) *downloader {
	d := &downloader{client: c, get: g, restore: restore, wanted: map[archive.Hash]*content{}, reading: true}
	for _, e := range restore.Files() {
		c := d.wanted[e.Content.Hash]
		if c == nil {
			c = &content{Content: e.Content}
			d.wanted[e.Content.Hash] = c
			d.order = append(d.order, c)
			d.progress.TotalBytes += e.Content.Size
		}
		c.files = append(c.files, e)
		d.progress.TotalFiles++
	}
	d.progress.Stage = "download"
	return d
}

// run downloads what comes back while the rest is being read, and at the end what has gone out of reach meanwhile.
func (d *downloader) run(ctx context.Context) error {
	if err := d.pass(ctx, d.arrivals); err != nil {
		return err
	}
	if len(d.wanted)+len(d.again) == 0 {
		return nil
	}
	if _, err := d.client.Wait(ctx, d.get.Retrieval, d.get.Progress); err != nil {
		return err
	}
	d.last = true
	rest := d.again
	for _, c := range d.order {
		if d.wanted[c.Hash] != nil {
			rest = append(rest, c)
		}
	}
	return d.pass(ctx, func(ctx context.Context, batches chan<- []*content) error { return split(ctx, rest, batches) })
}

// pass downloads the batches that from sends.
func (d *downloader) pass(ctx context.Context, from func(ctx context.Context, batches chan<- []*content) error) error {
	batches := make(chan []*content)
	d.commits, ctx = errgroup.WithContext(ctx)
	d.commits.SetLimit(commits)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		return from(ctx, batches)
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
	err := g.Wait()
	if e := d.commits.Wait(); e != nil {
		return e
	}
	return err
}

// split sends contents in batches of what one request asks for.
func split(ctx context.Context, contents []*content, batches chan<- []*content) error {
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
}

// arrivals sends what comes within reach until everything has or the job has ended, and shows how far that is.
func (d *downloader) arrivals(ctx context.Context, batches chan<- []*content) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		d.client.Wait(ctx, d.get.Retrieval, func(p Progress) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.reading {
				report(d.get.Progress, p)
			}
		}) // what has become of the job is asked again when something is missing
		d.mu.Lock()
		defer d.mu.Unlock()
		d.reading = false
	})
	last := int64(0)
	return d.client.retry(ctx, func() int64 { return last }, func() error {
		stream, err := d.client.Retrievals.WatchArrivals(ctx, &pb.WatchArrivalsRequest{RetrievalId: d.get.Retrieval, After: last})
		if err != nil {
			return err
		}
		for len(d.wanted) > 0 {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			var came []*content
			for _, h := range m.GetHashes() {
				if len(h) != len(archive.Hash{}) {
					return fmt.Errorf("retrieval %s: a hash of %d bytes", d.get.Retrieval, len(h))
				}
				if c := d.wanted[archive.Hash(h)]; c != nil {
					came = append(came, c)
					delete(d.wanted, c.Hash)
				}
			}
			last = m.GetLast()
			if err := split(ctx, came, batches); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *downloader) add(files, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress.Files += files
	d.progress.Bytes += bytes
	if !d.reading {
		report(d.get.Progress, d.progress)
	}
}

// batch downloads contents; what an interrupted stream has brought is not asked for again.
func (d *downloader) batch(ctx context.Context, todo []*content) error {
	defer func() {
		for _, c := range todo {
			if c.open != nil {
				c.open.Abort()
				c.open = nil
			}
		}
	}()
	made := int64(0)
	err := d.client.retry(ctx, func() int64 { return made }, func() error {
		if len(todo) == 0 {
			return nil
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		files := &passedFiles{client: d.client}
		defer files.close()
		req := &pb.DownloadRequest{RetrievalId: d.get.Retrieval, ByDescriptor: files.wanted()}
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
				n, err := d.piece(ctx, todo[0], p, files)
				if made += n; err != nil {
					return err
				}
				if d.whole(todo[0]) {
					todo = todo[1:]
				}
			}
		}
	})
	if code := status.Code(err); !d.last && (code == codes.NotFound || code == codes.FailedPrecondition) {
		d.later(todo)
		return nil
	}
	return err
}

// later keeps contents that are out of reach again until the job has succeeded.
func (d *downloader) later(contents []*content) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.again = append(d.again, contents...)
}

// piece writes the bytes of a piece, which follow those that its content has, and returns how many it has written.
func (d *downloader) piece(ctx context.Context, c *content, p *pb.Piece, files *passedFiles) (n int64, err error) {
	if c.open == nil {
		if c.open, err = d.restore.Create(c.files[0]); err != nil {
			return 0, err
		}
	}
	if p.GetOffset() != c.open.Size() {
		return 0, fmt.Errorf("download: content %v goes on at %d, want %d", c.Hash, p.GetOffset(), c.open.Size())
	}
	for data, err := range files.data(ctx, p) {
		if err == nil {
			_, err = c.open.Write(data)
		}
		if err != nil {
			return n, err
		}
		n += int64(len(data))
		d.add(0, int64(len(data)))
	}
	return n, nil
}

// whole says whether all of a content has come, and has it committed.
func (d *downloader) whole(c *content) bool {
	if c.open == nil || c.open.Size() < c.Size {
		return false
	}
	f := c.open
	c.open = nil
	d.commits.Go(func() error { return d.commit(f, c.files) })
	return true
}

// commit ends the first file of a content and makes the others of it.
func (d *downloader) commit(f *tree.File, files []*archive.Entry) error {
	if err := f.Commit(); err != nil {
		return err
	}
	d.add(1, 0)
	for _, e := range files[1:] {
		if err := d.duplicate(files[0], e); err != nil {
			return err
		}
		d.add(1, 0)
	}
	return nil
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

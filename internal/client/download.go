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

// downloadStreams is how many downloads run beside each other, commits how many finished files at most are made durable together.
const (
	downloadStreams = 3
	commits         = 256
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
	whole   chan whole
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

// whole is a file that all of its bytes have come for, and the others that are to be as it.
type whole struct {
	file  *tree.File
	files []*archive.Entry
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
	d.whole = make(chan whole, commits)
	committer, ctx := errgroup.WithContext(ctx)
	committer.Go(d.commit)
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
	close(d.whole)
	if e := committer.Wait(); e != nil {
		for w := range d.whole {
			w.file.Abort()
		}
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
				done, err := d.hand(ctx, todo[0])
				if err != nil {
					return err
				}
				if done {
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

// hand says whether all of a content has come, and hands it over to be committed.
func (d *downloader) hand(ctx context.Context, c *content) (done bool, err error) {
	if c.open == nil || c.open.Size() < c.Size {
		return false, nil
	}
	select {
	case d.whole <- whole{c.open, c.files}:
		c.open = nil
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// commit commits what is whole, always as many files together as wait for it.
func (d *downloader) commit() error {
	for w := range d.whole {
		batch := []whole{w}
		for more := true; more && len(batch) < commits; {
			select {
			case w, open := <-d.whole:
				if more = open; open {
					batch = append(batch, w)
				}
			default:
				more = false
			}
		}
		if err := d.commitAll(batch); err != nil {
			return err
		}
	}
	return nil
}

// commitAll ends the first file of each content and makes the others of it.
func (d *downloader) commitAll(batch []whole) error {
	files := make([]*tree.File, len(batch))
	for i, w := range batch {
		files[i] = w.file
	}
	if err := tree.CommitAll(files); err != nil {
		return err
	}
	d.add(int64(len(files)), 0)
	var others []*tree.File
	end := func() error {
		err := tree.CommitAll(others)
		if err == nil {
			d.add(int64(len(others)), 0)
		}
		others = nil
		return err
	}
	for _, w := range batch {
		for _, e := range w.files[1:] {
			f, err := d.duplicate(w.files[0], e)
			if err != nil {
				for _, f := range others {
					f.Abort()
				}
				return err
			}
			if others = append(others, f); len(others) == commits {
				if err := end(); err != nil {
					return err
				}
			}
		}
	}
	return end()
}

// duplicate gives another file the content of one that has been restored. It is to be committed.
func (d *downloader) duplicate(from, to *archive.Entry) (*tree.File, error) {
	in, err := d.restore.Open(from)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, err := d.restore.Create(to)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, tree.Buffer(pieceSize)); err != nil {
		out.Abort()
		return nil, err
	}
	return out, nil
}

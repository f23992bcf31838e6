// Package descriptor passes open files between processes of one host: a Desk gives out tickets, which travel in any other way, and
// whoever presents one at a socket of the Desk gets the file (unix(7), SCM_RIGHTS). Bytes that would pass through many hands are then
// read or written where they lie. It knows nothing of what is in the files.
package descriptor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ticketSize is the size of a ticket in bytes: nobody guesses one.
const ticketSize = 16

// patience is how long either side waits for the other: both are on one host, and have nothing else to do.
const patience = 5 * time.Second

// Beside returns the path of the socket at which the files are had that belong to the server at address, a gRPC target; it is empty for
// a server that is not at a unix socket, and so perhaps on another host.
func Beside(address string) string {
	path, local := strings.CutPrefix(address, "unix:")
	if !local {
		return ""
	}
	return strings.TrimPrefix(path, "//") + ".files"
}

// Desk hands out files for tickets. Its zero value is ready, and its methods may be called by several goroutines.
type Desk struct {
	mu     sync.Mutex
	offers map[[ticketSize]byte]*Offer
}

// Offer is a file that waits to be taken, once.
type Offer struct {
	desk   *Desk
	ticket [ticketSize]byte
	taken  chan struct{} // closed when it has been

	mu   sync.Mutex
	file *os.File // nil when it has been taken or withdrawn
}

// Offer makes a ticket for f, which is the caller's and stays open until the offer has been taken or withdrawn. Whoever takes it shares
// its access mode and its position: both sides use ReadAt and WriteAt.
func (d *Desk) Offer(f *os.File) *Offer {
	o := &Offer{desk: d, taken: make(chan struct{}), file: f}
	rand.Read(o.ticket[:])
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.offers == nil {
		d.offers = map[[ticketSize]byte]*Offer{}
	}
	d.offers[o.ticket] = o
	return o
}

// Ticket returns what Take wants.
func (o *Offer) Ticket() []byte { return o.ticket[:] }

// Wait waits until the file has been taken.
func (o *Offer) Wait(ctx context.Context) error {
	select {
	case <-o.taken:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Withdraw ends the offer; afterwards the caller may close its file. It may be called again, and after the file was taken.
func (o *Offer) Withdraw() {
	o.desk.mu.Lock()
	delete(o.desk.offers, o.ticket)
	o.desk.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.file = nil
}

// take sends the file and ends the offer.
func (o *Offer) take(to *net.UnixConn) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return errUnknown
	}
	raw, err := o.file.SyscallConn()
	if err != nil {
		return err
	}
	e := raw.Control(func(fd uintptr) { _, _, err = to.WriteMsgUnix([]byte{0}, unix.UnixRights(int(fd)), nil) })
	if err = errors.Join(e, err); err != nil {
		return err
	}
	o.file = nil
	close(o.taken)
	return nil
}

var errUnknown = errors.New("the ticket is for no file that is on offer")

// Serve hands out files to those who come to l until ctx ends; then it closes l.
func (d *Desk) Serve(ctx context.Context, l *net.UnixListener) error {
	var served sync.WaitGroup
	defer served.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		c, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("hand out files at %s: %w", l.Addr(), err)
		}
		served.Go(func() {
			defer c.Close()
			d.serve(c)
		})
	}
}

// serve answers one who has come. One with no ticket gets no answer, and finds that out by the end of the connection.
func (d *Desk) serve(c *net.UnixConn) {
	if c.SetDeadline(time.Now().Add(patience)) != nil {
		return
	}
	var ticket [ticketSize]byte
	if n, err := c.Read(ticket[:]); err != nil || n != ticketSize {
		return
	}
	d.mu.Lock()
	o := d.offers[ticket]
	delete(d.offers, ticket)
	d.mu.Unlock()
	if o != nil {
		o.take(c)
	}
}

// Take gets the file that ticket stands for from the desk whose socket is at path. The caller closes it.
func Take(ctx context.Context, path string, ticket []byte) (*os.File, error) {
	f, err := take(ctx, path, ticket)
	if err != nil {
		return nil, fmt.Errorf("get a file by descriptor from %s: %w", path, err)
	}
	return f, nil
}

func take(ctx context.Context, path string, ticket []byte) (*os.File, error) {
	if len(ticket) != ticketSize {
		return nil, fmt.Errorf("a ticket of %d bytes, want %d", len(ticket), ticketSize)
	}
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := conn.(*net.UnixConn)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(ticket); err != nil {
		return nil, err
	}
	var data [1]byte
	rights := make([]byte, unix.CmsgSpace(4))
	_, oob, _, _, err := c.ReadMsgUnix(data[:], rights)
	if errors.Is(err, io.EOF) {
		return nil, errUnknown
	} else if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:oob])
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) == 1 {
			return os.NewFile(uintptr(fds[0]), fmt.Sprintf("%s:%x", path, ticket[:4])), nil
		}
	}
	return nil, errors.New("an answer without a descriptor")
}

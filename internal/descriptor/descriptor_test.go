package descriptor

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve runs a desk at a socket of its own and returns the socket's path.
func serve(t *testing.T, d *Desk) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.files")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() {
		if err := d.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		served.Wait()
	})
	return path
}

func file(t *testing.T, flag int) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("what is in it"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTake(t *testing.T) {
	d := &Desk{}
	path := serve(t, d)
	mine := file(t, os.O_RDONLY)
	o := d.Offer(mine)
	got, err := Take(t.Context(), path, o.Ticket())
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if err := o.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	mine.Close() // and its name may go too: the taker's file lives on
	if err := os.Remove(mine.Name()); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(got, 5, 100))
	if err != nil || string(b) != "is in it" {
		t.Errorf("read %q, %v", b, err)
	}
	if _, err := got.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a file that was opened for reading was written to")
	}
	if _, err := Take(t.Context(), path, o.Ticket()); !errors.Is(err, errUnknown) {
		t.Errorf("the ticket was taken twice: %v", err)
	}
}

func TestTakeToWrite(t *testing.T) {
	d := &Desk{}
	path := serve(t, d)
	mine := file(t, os.O_RDWR)
	o := d.Offer(mine)
	got, err := Take(t.Context(), path, o.Ticket())
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if _, err := got.WriteAt([]byte("that"), 0); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 7)
	if _, err := mine.ReadAt(b, 0); err != nil || string(b) != "that is" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestTakeWhatIsNotThere(t *testing.T) {
	d := &Desk{}
	path := serve(t, d)
	withdrawn := d.Offer(file(t, os.O_RDONLY))
	withdrawn.Withdraw()
	withdrawn.Withdraw()
	for name, ticket := range map[string][]byte{
		"withdrawn": withdrawn.Ticket(), "invented": make([]byte, ticketSize), "too short": []byte("short"), "too long": make([]byte, 100),
	} {
		if f, err := Take(t.Context(), path, ticket); err == nil {
			f.Close()
			t.Errorf("%s: something was handed out", name)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v does not say where", name, err)
		}
	}
	if _, err := Take(t.Context(), path+"-none", make([]byte, ticketSize)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := d.Offer(file(t, os.O_RDONLY)).Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waited for nobody: %v", err)
	}
}

// Takers and withdrawals at the same time: each file goes to one at most, and none is sent after it was withdrawn.
func TestTakeAgainstWithdraw(t *testing.T) {
	d := &Desk{}
	path := serve(t, d)
	for range 50 {
		f := file(t, os.O_RDONLY)
		o := d.Offer(f)
		var all sync.WaitGroup
		taken := make(chan *os.File, 3)
		for range 3 {
			all.Go(func() {
				if f, err := Take(t.Context(), path, o.Ticket()); err == nil {
					taken <- f
				}
			})
		}
		all.Go(func() {
			o.Withdraw()
			f.Close()
		})
		all.Wait()
		close(taken)
		n := 0
		for got := range taken {
			n++
			if b, err := io.ReadAll(io.NewSectionReader(got, 0, 100)); err != nil || string(b) != "what is in it" {
				t.Errorf("read %q, %v", b, err)
			}
			got.Close()
		}
		if n > 1 {
			t.Fatalf("one offer was taken %d times", n)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.offers) > 0 {
		t.Errorf("%d offers are left", len(d.offers))
	}
}

func TestBeside(t *testing.T) {
	for address, want := range map[string]string{
		"unix:///run/odarchive/controller.sock": "/run/odarchive/controller.sock.files", "unix:c.sock": "c.sock.files", "127.0.0.1:7000": "", "host:7000": "",
	} {
		if got := Beside(address); got != want {
			t.Errorf("Beside(%q) = %q, want %q", address, got, want)
		}
	}
}

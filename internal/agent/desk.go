package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/odarchive/odarchive/robot/changer/manual"
)

// deskName is the socket in the data folder at which a person is told what to do.
const deskName = "person.sock"

// desk is where a person who serves as the robot is asked. Requests go to the log, to the agent's own terminal when it has one, and to
// everybody who has come to the socket; the first answer counts.
type desk struct {
	log    *slog.Logger
	abort  <-chan struct{}
	listen net.Listener
	people sync.WaitGroup
	closed chan struct{}
	// console is where a person is asked besides; nil for nowhere.
	console io.Closer

	mu      sync.Mutex
	request string // that waits; empty for none
	notice  string // the last one
	notices int
	asked   chan struct{}
	answer  chan manual.Answer
}

func openDesk(data string, log *slog.Logger, abort <-chan struct{}) (*desk, error) {
	path := filepath.Join(data, deskName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen for a person: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for a person: %w", err)
	}
	d := &desk{log: log, abort: abort, listen: l, closed: make(chan struct{}), asked: make(chan struct{}), answer: make(chan manual.Answer)}
	d.people.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.people.Go(func() { d.serve(c) })
		}
	})
	return d, nil
}

// Do implements manual.Person.
func (d *desk) Do(ctx context.Context, request string) (manual.Answer, error) {
	d.log.Warn("a person is needed", "request", request, "answer_with", "odarchive-agent person")
	d.ask(request)
	defer d.ask("")
	select {
	case a := <-d.answer:
		d.log.Info("the person has answered", "request", request, "answer", string(a))
		return a, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-d.abort:
		return "", errAborted
	case <-d.closed:
		return "", os.ErrClosed
	}
}

// ask replaces the request and wakes everybody.
func (d *desk) ask(request string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.request = request
	close(d.asked)
	d.asked = make(chan struct{})
}

// tell has everybody know what came of it. A nil desk tells nobody.
func (d *desk) tell(notice string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notice = notice
	d.notices++
	close(d.asked)
	d.asked = make(chan struct{})
}

// current is the request, and the last notice if there was one since so many.
func (d *desk) current(since int) (request, notice string, notices int, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.notices > since {
		notice = d.notice
	}
	return d.request, notice, d.notices, d.asked
}

// sit has a person asked at a terminal of this process, which becomes the desk's.
func (d *desk) sit(console io.ReadWriteCloser) {
	d.console = console
	mine, his := net.Pipe()
	d.people.Go(func() { d.serve(mine) })
	d.people.Go(func() {
		var typing sync.WaitGroup
		converse(his, console, console, typing.Go)
		his.Close()
		<-d.closed // only the end of the console ends its reader
		typing.Wait()
	})
}

// serve tells a person each request and takes the answers, a line each.
func (d *desk) serve(c net.Conn) {
	defer c.Close()
	answers := make(chan manual.Answer)
	d.people.Go(func() {
		defer close(answers)
		for in := bufio.NewScanner(c); in.Scan(); {
			select {
			case answers <- manual.Answer(strings.TrimSpace(in.Text())):
			case <-d.closed:
				return
			}
		}
	})
	defer func() {
		c.Close()
		for range answers { // until the reader has ended
		}
	}()
	_, _, notices, _ := d.current(0)
	for {
		request, notice, told, changed := d.current(notices)
		notices = told
		if notice != "" {
			if _, err := fmt.Fprintln(c, noticeMark+notice); err != nil {
				return
			}
		}
		if _, err := fmt.Fprintln(c, request); err != nil {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-changed:
				waiting = false
			case <-d.closed:
				return
			case a, ok := <-answers:
				switch {
				case !ok:
					return
				case a != manual.Done && a != manual.Absent && a != manual.Refuse || request == "":
				default:
					select {
					case d.answer <- a:
					case <-changed: // somebody else was faster
					case <-d.closed:
						return
					}
				}
			}
		}
	}
}

// Close ends the desk.
func (d *desk) Close() error {
	err := d.listen.Close()
	close(d.closed)
	if d.console != nil {
		err = errors.Join(err, d.console.Close())
	}
	d.people.Wait()
	return err
}

// noticeMark begins a line that asks for nothing.
const noticeMark = "# "

// Attend is the person's side: it shows on out what the agent of a data folder wants and takes the answers from in, until ctx ends or
// one of the two does.
func Attend(ctx context.Context, data string, in io.Reader, out io.Writer) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", filepath.Join(data, deskName))
	if err != nil {
		return fmt.Errorf("no agent that wants a person as its robot runs: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	converse(c, in, out, func(f func()) { go f() }) // the reader ends with the terminal, or with the process
	return nil
}

// converse shows on out what comes over c and sends what comes from in, until c ends. The end of in ends c.
func converse(c net.Conn, in io.Reader, out io.Writer, start func(func())) {
	start(func() {
		for answers := bufio.NewScanner(in); answers.Scan(); {
			if _, err := fmt.Fprintln(c, answers.Text()); err != nil {
				return
			}
		}
		c.Close()
	})
	fmt.Fprintln(out, "Answer each request with: done, absent (there is no such disc), or no.")
	for requests := bufio.NewScanner(c); requests.Scan(); {
		text := requests.Text()
		if notice, ok := strings.CutPrefix(text, noticeMark); ok {
			fmt.Fprintln(out, notice)
		} else if text != "" {
			fmt.Fprintf(out, "\a%s: ", text)
		} else {
			fmt.Fprintln(out, "Nothing to do; waiting.")
		}
	}
}

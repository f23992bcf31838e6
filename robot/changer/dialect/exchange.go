package dialect

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxReply is longer than any answer, in bytes.
const maxReply = 256

// queryLimit is how long the answer to a question may take that names no limit.
const queryLimit = 2 * time.Second

// split cuts answers (bufio.SplitFunc). Size is that of a step, 0 for the frame's own.
func (f Frame) split(size int) bufio.SplitFunc {
	return func(data []byte, _ bool) (advance int, token []byte, err error) {
		if len(data) == 0 {
			return 0, nil, nil
		}
		if strings.IndexByte(f.ReplyAlone, data[0]) >= 0 {
			return 1, data[:1], nil
		}
		if f.ReplyEnd == "" {
			n := f.ReplySize
			if size > 0 {
				n = size
			}
			if len(data) < n {
				return 0, nil, nil
			}
			return n, data[:n], nil
		}
		if reply, _, found := bytes.Cut(data, []byte(f.ReplyEnd)); found {
			return len(reply) + len(f.ReplyEnd), reply, nil
		}
		if len(data) > maxReply {
			return 0, nil, bufio.ErrTooLong
		}
		return 0, nil, nil
	}
}

// heard is an answer and what it means.
type heard struct {
	Reply
	text string
}

// run sends a step's command once and returns the answer that ends it. It fails with misheard, or with the line's own
// error when that is broken. An answer that the dialect doesn't have may be noise, and the true one may follow: it is waited for.
func (l *Loader) run(s Step, values map[string]string) (heard, error) {
	command := s.Send.fill(values)
	time.Sleep(time.Until(l.heardAt.Add(scaledPace(l.d.Line.Pace.Duration, l.speed))))
	if _, err := l.line.Discard(); err != nil {
		return heard{}, fmt.Errorf("before %q: %w", command, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scaled(cmp.Or(s.Limit.Duration, queryLimit), l.speed))
	defer cancel()
	if err := l.line.Send(ctx, []byte(l.d.Frame.Start+command+l.d.Frame.End)); err != nil {
		return heard{}, fmt.Errorf("%q: %w", command, err)
	}
	odd := misheard{command: command}
	for {
		text, err := l.receive(ctx, s)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return heard{}, odd
		case errors.Is(err, bufio.ErrTooLong):
			if _, err := l.line.Discard(); err != nil {
				return heard{}, fmt.Errorf("%q: %w", command, err)
			}
			return heard{}, misheard{command, "noise without an end"}
		case err != nil:
			return heard{}, fmt.Errorf("%q: %w", command, err)
		}
		r, ok := s.meaning(text)
		switch {
		case !ok:
			odd.heard = text
			if len(s.Disc.Word) == 0 {
				return heard{}, odd // a question can be asked again
			}
		case r.Means.Word != more:
			return heard{r, text}, nil
		}
	}
}

func (l *Loader) receive(ctx context.Context, s Step) (string, error) {
	if s.Quiet.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, scaled(s.Quiet.Duration, l.speed))
		defer cancel()
	}
	frame, err := l.line.Receive(ctx, l.d.Frame.split(s.Size))
	l.heardAt = time.Now()
	return strings.TrimPrefix(string(frame), l.d.Frame.ReplyStart), err
}

// meaning is that of the first reply that matches.
func (s Step) meaning(text string) (Reply, bool) {
	for _, r := range s.Replies {
		if r.Match.MatchString(text) {
			return r, true
		}
	}
	return Reply{}, false
}

// question runs a step that moves nothing, again when it was misheard, and again while the robot is busy, up to a limit.
func (l *Loader) question(ctx context.Context, s Step, values map[string]string, patience time.Duration) (heard, error) {
	if s.Ask != "" {
		s = l.d.Question[s.Ask]
	}
	const tries = 3
	end := time.Now().Add(patience)
	for try := 1; ; {
		h, err := l.run(s, values)
		_, odd := errors.AsType[misheard](err)
		switch {
		case odd && try < tries:
			try++
			continue
		case err != nil:
			return h, err
		case h.Means.Word != busy || !time.Now().Before(end):
			return h, nil
		case ctx.Err() != nil:
			return h, ctx.Err()
		}
		time.Sleep(scaledPace(pollPause, l.speed))
	}
}

// pollPause lies between two questions to a robot that is busy.
const pollPause = 500 * time.Millisecond

// scaledPace is a pause on a machine that is n times as fast.
func scaledPace(d time.Duration, n float64) time.Duration {
	if n == 0 {
		return d
	}
	return time.Duration(float64(d) / n)
}

package client

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/archive/tree"
	"github.com/odarchive/odarchive/internal/descriptor"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// passedFiles are the files of one stream of content that the controller has passed instead of their bytes: both are on one host.
type passedFiles struct {
	client *Client
	files  map[string]*os.File // by ticket
	buffer []byte
}

// wanted says whether files may come at all.
func (f *passedFiles) wanted() bool { return f.client.files != "" && !f.client.refused.Load() }

// readSize is how many bytes of a passed file are read, hashed and written at a time.
const readSize = 1 << 20

// data returns the bytes of a piece, in order, whether it brings them or says where they lie. They are overwritten by those that follow.
func (f *passedFiles) data(ctx context.Context, p *pb.Piece) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := p.GetInFile()
		if in == nil {
			yield(p.GetData(), nil)
			return
		}
		file, err := f.file(ctx, in.GetTicket())
		if err != nil {
			yield(nil, err)
			return
		}
		if f.buffer == nil {
			f.buffer = tree.Buffer(readSize)
		}
		for at, end := in.GetPosition(), in.GetPosition()+in.GetLength(); at < end; {
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			b := f.buffer[:min(readSize, end-at)]
			if n, err := file.ReadAt(b, at); n < len(b) {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				yield(nil, fmt.Errorf("download content %x from the controller's file: %w", p.GetHash(), err))
				return
			}
			if !yield(b, nil) {
				return
			}
			at += int64(len(b))
		}
	}
}

// file returns the file that ticket stands for. When it can't be had, bytes are asked for from now on.
func (f *passedFiles) file(ctx context.Context, ticket []byte) (*os.File, error) {
	if file := f.files[string(ticket)]; file != nil {
		return file, nil
	}
	file, err := descriptor.Take(ctx, f.client.files, ticket)
	if err != nil {
		if ctx.Err() == nil {
			f.client.refused.Store(true)
		}
		return nil, status.Error(codes.Aborted, err.Error()) // and so tried again
	}
	if f.files == nil {
		f.files = map[string]*os.File{}
	}
	f.files[string(ticket)] = file
	return file, nil
}

func (f *passedFiles) close() {
	for _, file := range f.files {
		file.Close()
	}
}

package controller

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// maxBatch is how many contents one request may name.
const maxBatch = 16384

// archiveServer serves ArchiveService.
type archiveServer struct {
	pb.UnimplementedArchiveServiceServer
	store    *postgres.Store
	staging  *staging.Store
	arriving names
}

func (s *archiveServer) FindMissing(ctx context.Context, req *pb.FindMissingRequest) (*pb.FindMissingResponse, error) {
	if len(req.GetContents()) > maxBatch {
		return nil, library.Errorf(library.Invalid, "%d contents in one request, at most %d are allowed", len(req.GetContents()), maxBatch)
	}
	vault, err := s.store.Vault(ctx, req.GetVault())
	if err != nil {
		return nil, err
	}
	contents := make([]archive.Content, len(req.GetContents()))
	for i, c := range req.GetContents() {
		if contents[i], err = contentOf(c.GetHash(), c.GetSize()); err != nil {
			return nil, err
		}
	}
	missing, err := s.store.Missing(ctx, vault.ID, contents)
	if err != nil {
		return nil, err
	}
	resp := &pb.FindMissingResponse{}
	for _, i := range missing {
		m := &pb.Missing{Index: int32(i)}
		if contents[i].Size > smallContent {
			if m.Staged, err = s.staging.Arrived(uploadName(vault.ID, contents[i].Hash)); err != nil {
				return nil, err
			}
			if m.Staged >= contents[i].Size {
				m.Staged = 0 // whole, yet never recorded: its hash must have been wrong
			}
		}
		resp.Missing = append(resp.Missing, m)
	}
	return resp, nil
}

func (s *archiveServer) Upload(stream grpc.BidiStreamingServer[pb.UploadRequest, pb.UploadResponse]) (err error) {
	ctx := stream.Context()
	first, err := stream.Recv()
	if err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	vault, err := s.store.Vault(ctx, first.GetVault())
	if err != nil {
		return err
	}
	u := &upload{vault: vault.ID, arriving: &s.arriving}
	u.collector = collector{store: s.store, staging: s.staging, record: func(ctx context.Context, staged []postgres.Staged) error {
		return s.store.Stage(ctx, vault.ID, staged)
	}}
	defer func() {
		if e := u.end(ctx); err == nil {
			err = e
		}
	}()
	messages, failed := receive(ctx, stream.Recv)
	for m := first; ; {
		for _, p := range m.GetPieces() {
			if err := u.piece(ctx, p); err != nil {
				return err
			}
		}
		var open bool
		select {
		case m, open = <-messages:
			if open && !u.full() {
				continue
			}
		default:
			// Nothing waits: a good moment to make durable what has come.
			if err := acknowledge(ctx, u, stream); err != nil {
				return err
			}
			m, open = <-messages
			if open {
				continue
			}
		}
		if err := acknowledge(ctx, u, stream); err != nil {
			return err
		}
		if !open {
			return failed()
		}
	}
}

func acknowledge(ctx context.Context, u *upload, stream grpc.BidiStreamingServer[pb.UploadRequest, pb.UploadResponse]) error {
	hashes, err := u.acknowledge(ctx)
	if err != nil || len(hashes) == 0 {
		return err
	}
	return stream.Send(&pb.UploadResponse{Hashes: hashes})
}

func (s *archiveServer) SealArchive(stream grpc.ClientStreamingServer[pb.SealArchiveRequest, pb.Archive]) error {
	ctx := stream.Context()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	seal, err := sealOf(first.GetHeader())
	if err != nil {
		return err
	}
	// The catalogue holds a transaction while it reads, so a client that stops sending is cut off by its deadline or by keepalive.
	r := catalogue.NewManifestReader(&manifestStream{stream: stream})
	sealed, err := s.store.SealArchive(ctx, seal, r.Entries(), func() (archive.Hash, int64) { return r.Hash(), r.Size() })
	if bad, ok := errors.AsType[*catalogue.ManifestError](err); ok {
		return library.Errorf(library.Invalid, "seal archive %s: %v", seal.ID, bad)
	} else if err != nil {
		return err
	}
	return stream.SendAndClose(archiveProto(sealed))
}

func sealOf(h *pb.SealHeader) (postgres.Seal, error) {
	root, err := contentOf(h.GetRootHash(), 0)
	if err != nil {
		return postgres.Seal{}, library.Errorf(library.Invalid, "seal an archive: the root hash has %d bytes, want 32", len(h.GetRootHash()))
	}
	if _, err := uuid.Parse(h.GetId()); err != nil {
		return postgres.Seal{}, library.Errorf(library.Invalid, "seal an archive: id %q is no UUID", h.GetId())
	}
	if n := len(h.GetName()); n == 0 || n > 255 || strings.ContainsRune(h.GetName(), 0) {
		return postgres.Seal{}, library.Errorf(library.Invalid, "seal archive %s: a name of %d bytes, want 1 to 255 without NUL", h.GetId(), n)
	}
	if d := h.GetDescription(); len(d) > 1024 || strings.ContainsFunc(d, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return postgres.Seal{}, library.Errorf(library.Invalid, "seal archive %s: want a description of at most 1,024 printable ASCII characters", h.GetId())
	}
	return postgres.Seal{ID: h.GetId(), Vault: h.GetVault(), Name: h.GetName(), Description: h.GetDescription(), RootHash: root.Hash, Flush: h.GetFlush()}, nil
}

// manifestStream is the manifest that comes behind a SealHeader, as an io.Reader.
type manifestStream struct {
	stream grpc.ClientStreamingServer[pb.SealArchiveRequest, pb.Archive]
	rest   []byte
}

func (m *manifestStream) Read(p []byte) (int, error) {
	for len(m.rest) == 0 {
		req, err := m.stream.Recv()
		if err != nil {
			return 0, err
		}
		if req.GetHeader() != nil {
			return 0, library.Errorf(library.Invalid, "seal an archive: a second header")
		}
		m.rest = req.GetManifest()
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func (s *archiveServer) GetArchive(ctx context.Context, req *pb.GetArchiveRequest) (*pb.Archive, error) {
	var a postgres.Archive
	var err error
	if req.GetId() != "" {
		a, err = s.store.Archive(ctx, req.GetId())
	} else {
		a, err = s.store.ArchiveByName(ctx, req.GetVault(), req.GetName())
	}
	if err != nil {
		return nil, err
	}
	return archiveProto(a), nil
}

func (s *archiveServer) ListArchives(ctx context.Context, req *pb.ListArchivesRequest) (*pb.ListArchivesResponse, error) {
	n, err := pageSize(req.GetPageSize(), 100, 1000)
	if err != nil {
		return nil, err
	}
	archives, err := s.store.Archives(ctx, req.GetVault(), n+1, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListArchivesResponse{}
	if len(archives) > n {
		archives = archives[:n]
		resp.NextPageToken = archives[n-1].ID
	}
	for _, a := range archives {
		resp.Archives = append(resp.Archives, archiveProto(a))
	}
	return resp, nil
}

func (s *archiveServer) ReadManifest(req *pb.ReadManifestRequest, stream grpc.ServerStreamingServer[pb.ManifestChunk]) error {
	ctx := stream.Context()
	a, err := s.store.Archive(ctx, req.GetArchiveId())
	if err != nil {
		return err
	}
	paths := pathsOf(req.GetPaths())
	if err := s.store.CheckPaths(ctx, a.ID, paths); err != nil {
		return err
	}
	entries := s.store.Entries(ctx, a.ID, paths)
	if req.GetChildrenOnly() {
		if len(paths) != 1 {
			return library.Errorf(library.Invalid, "the children of %d paths: want one", len(paths))
		}
		entries = s.store.Children(ctx, a.ID, paths[0])
	}
	return sendManifest(entries, func(chunk []byte) error { return stream.Send(&pb.ManifestChunk{Data: chunk}) })
}

func pathsOf(raw [][]byte) []string {
	paths := make([]string, len(raw))
	for i, p := range raw {
		paths[i] = string(p)
	}
	return paths
}

func archiveProto(a postgres.Archive) *pb.Archive {
	p := &pb.Archive{
		Id: a.ID, Vault: a.Vault, Name: a.Name, Description: a.Description, RootHash: a.RootHash, State: pb.ArchiveState_ARCHIVE_STATE_STAGED,
		Entries: a.Entries, Bytes: a.Bytes, Sealed: timestamppb.New(a.Sealed), JobId: a.JobID, Discs: a.Discs,
		GoneContents: a.GoneContents, GoneBytes: a.GoneBytes,
		WholeIn: a.WholeIn,
	}
	if a.Safe != nil {
		p.State, p.Safe = pb.ArchiveState_ARCHIVE_STATE_SAFE, timestamppb.New(*a.Safe)
	}
	return p
}

// pageSize applies a listing's default and limit.
func pageSize(asked int32, normal, limit int) (int, error) {
	switch n := int(asked); {
	case n == 0:
		return normal, nil
	case n < 0 || n > limit:
		return 0, library.Errorf(library.Invalid, "a page of %d: want 1 to %d", n, limit)
	default:
		return n, nil
	}
}

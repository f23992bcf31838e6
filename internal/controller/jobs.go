package controller

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// jobServer serves JobService.
type jobServer struct {
	pb.UnimplementedJobServiceServer
	store *postgres.Store
	hub   *hub
}

func (s *jobServer) GetJob(ctx context.Context, req *pb.GetJobRequest) (*pb.Job, error) {
	j, err := s.store.Job(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return jobProto(j), nil
}

func (s *jobServer) ListJobs(ctx context.Context, req *pb.ListJobsRequest) (*pb.ListJobsResponse, error) {
	n, err := pageSize(req.GetPageSize(), 100, 1000)
	if err != nil {
		return nil, err
	}
	jobs, err := s.store.Jobs(ctx, req.GetRunning(), n+1, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListJobsResponse{}
	if len(jobs) > n {
		jobs = jobs[:n]
		resp.NextPageToken = jobs[n-1].ID
	}
	for _, j := range jobs {
		resp.Jobs = append(resp.Jobs, jobProto(j))
	}
	return resp, nil
}

// watchInterval is how often progress, which is not announced, is looked for.
const watchInterval = 500 * time.Millisecond

// watchPause is how long a job that runs is not looked at again: a look costs more than many a step of its work.
const watchPause = 250 * time.Millisecond

func (s *jobServer) WatchJob(req *pb.WatchJobRequest, stream grpc.ServerStreamingServer[pb.Job]) error {
	ctx := stream.Context()
	var sent *pb.Job
	for id := req.GetId(); ; {
		changed := s.hub.wait(postgres.JobKey + id)
		j, err := s.store.Job(ctx, id)
		if err != nil {
			return err
		}
		id = j.ID
		if p := jobProto(j); !proto.Equal(p, sent) {
			if err := stream.Send(p); err != nil {
				return err
			}
			sent = p
		}
		if j.State != library.Running {
			return nil
		}
		if err := s.worthALook(ctx, id, changed); err != nil {
			return err
		}
	}
}

// worthALook waits until a job that was just looked at may have become another: until it ends, or else watchPause at least and
// watchInterval at most.
func (s *jobServer) worthALook(ctx context.Context, id string, changed <-chan struct{}) error {
	pause, tick := time.After(watchPause), time.After(watchInterval)
	for paused, again := false, false; !paused || !again; {
		select {
		case <-changed:
			again = true
			changed = s.hub.wait(postgres.JobKey + id)
			if runs, err := s.store.JobRuns(ctx, id); err != nil || !runs {
				return err
			}
		case <-pause:
			paused = true
		case <-tick:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *jobServer) CancelJob(ctx context.Context, req *pb.CancelJobRequest) (*pb.Job, error) {
	j, err := s.store.CancelJob(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return jobProto(j), nil
}

func (s *jobServer) RetryJob(ctx context.Context, req *pb.RetryJobRequest) (*pb.Job, error) {
	j, err := s.store.RetryJob(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return jobProto(j), nil
}

var jobKinds = map[library.JobKind]pb.JobKind{
	library.ArchiveJob:   pb.JobKind_JOB_KIND_ARCHIVE,
	library.RetrievalJob: pb.JobKind_JOB_KIND_RETRIEVAL,
	library.ScrubJob:     pb.JobKind_JOB_KIND_SCRUB,
}

var jobStates = map[library.JobState]pb.JobState{
	library.Running:   pb.JobState_JOB_STATE_RUNNING,
	library.Succeeded: pb.JobState_JOB_STATE_SUCCEEDED,
	library.Failed:    pb.JobState_JOB_STATE_FAILED,
	library.Cancelled: pb.JobState_JOB_STATE_CANCELLED,
}

func jobProto(j postgres.Job) *pb.Job {
	p := &pb.Job{
		Id: j.ID, Kind: jobKinds[j.Kind], State: jobStates[j.State], ArchiveId: j.ArchiveID, ArchiveName: j.ArchiveName, Vault: j.Vault,
		Created: timestamppb.New(j.Created), BytesDone: j.BytesDone, Bytes: j.Bytes, Error: j.Error, WaitingFor: j.WaitingFor, Doing: j.Doing, Discs: j.Discs,
	}
	if j.Finished != nil {
		p.Finished = timestamppb.New(*j.Finished)
	}
	return p
}

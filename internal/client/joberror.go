package client

import (
	"fmt"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// JobError is the end of a job that has failed or was cancelled.
type JobError struct{ Job *pb.Job }

func (e *JobError) Error() string {
	if e.Job.GetState() == pb.JobState_JOB_STATE_CANCELLED {
		return fmt.Sprintf("job %s was cancelled", e.Job.GetId())
	}
	return fmt.Sprintf("job %s failed: %s", e.Job.GetId(), e.Job.GetError())
}

package agent

import (
	"fmt"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// release deletes a built image. One that isn't there has been deleted.
func (a *agent) release(t *pb.Release) error {
	if !validImage(t.GetImageId()) {
		return defect("%q is no image id", t.GetImageId())
	}
	if t.GetSetId() != "" {
		if err := a.forgetSet(t.GetSetId()); err != nil {
			return fmt.Errorf("release the parity of set %s: %w", t.GetSetId(), err)
		}
	}
	if err := a.scratch.discard(t.GetImageId()); err != nil {
		return fmt.Errorf("release image %s: %w", t.GetImageId(), err)
	}
	return nil
}

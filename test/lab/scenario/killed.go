package scenario

import "context"

func killedAction(ctx context.Context, t *T) error { return ErrSkip }

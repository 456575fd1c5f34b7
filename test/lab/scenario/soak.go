package scenario

import "context"

func soak(ctx context.Context, t *T) error { return ErrSkip }

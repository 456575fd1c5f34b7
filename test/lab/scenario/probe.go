package scenario

import "context"

func probeBare(ctx context.Context, t *T) error { return ErrSkip }

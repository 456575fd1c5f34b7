package scenario

import "context"

func ocfTester(ctx context.Context, t *T) error { return ErrSkip }

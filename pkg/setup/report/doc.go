// Package report shows a person, or a program, what setup sees and does: a plan
// as text or JSON, and each step while it is applied.
//
//	r := report.NewText(os.Stdout, report.Options{Terminal: true, At: config.At})
//	r.Plan("drbdtest1", plan)
//	n, err := setup.Apply(ctx, stages, r)
//
// Text is for reading and may change between versions; the JSON's keys stay.
package report

package check

// Summed is the report of facts.
func Summed(f *Facts) Report { return summed(f.Self, f.Now, Judge(f)) }

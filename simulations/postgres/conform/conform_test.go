package conform

import "testing"

// TestModel: the model tells what PostgreSQL told.
func TestModel(t *testing.T) {
	for _, s := range Scripts {
		t.Run(s.Name, func(t *testing.T) {
			facts := Facts(s.Name)
			if len(facts) == 0 {
				t.Fatal("nothing was recorded; go test ./pgdriver/conformance -record FILE does it")
			}
			Compare(t, "the model", Play(t, Model(t), s), facts)
		})
	}
}

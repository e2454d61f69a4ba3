package tidy

import "testing"

// TestRepository runs every check on the module that this test belongs to.
func TestRepository(t *testing.T) {
	tree, err := Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Go) == 0 || len(tree.Prose) == 0 {
		t.Fatalf("found %d Go files and %d others: the root of the module is not where this test expects it",
			len(tree.Go), len(tree.Prose))
	}
	for _, problem := range Check(tree) {
		t.Error(problem)
	}
}

// TestPurePackagesExist keeps the bans from passing because a package was renamed.
func TestPurePackagesExist(t *testing.T) {
	tree, err := Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range tree.Go {
		found[file.Dir()] = true
	}
	for _, pkg := range pure {
		if !found[pkg] {
			t.Errorf("no package %s in the module, but the table of pure packages names it", pkg)
		}
	}
}

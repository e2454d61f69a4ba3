// Package tidy checks the source of this repository against its own rules: which package may import
// which (Arrows), what the deciding packages may not name (Bans), and the shape and manners of every
// file (Shape, Prose). It is a test suite; nothing at run time uses it.
//
// Every check works on parsed files and returns problems, so that the tests of the checks feed them
// small sources in memory and see each check fail. TestRepository runs all of them on the tree.
//
// A problem names the file, the line, what was found and what to write instead. A rule is changed
// here, in its table, in the same commit as the code that needs the change.
package tidy

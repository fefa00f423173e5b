// Package docs compiles the Go code of the documentation, so that what a reader copies works.
//
// A block of Go in a document is one of two things:
//
//   - A whole file begins with a package clause. Files with the same package name in one document are one package;
//     each package main is a program of its own. One document's packages import each other as example.com/shop/NAME.
//   - A fragment is anything shorter: declarations, statements, or a list of expressions such as the options of a
//     job. The fragments of one document are one package, so a later one may use what an earlier one declares, and
//     names are declared once. Packages are imported by their usual names. What fragments may use without declaring
//     it is in given.
package docs

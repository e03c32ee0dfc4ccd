// The module is a header alone; a package needs a source all the same.

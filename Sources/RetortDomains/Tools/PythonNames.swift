/// Names that have a meaning in Python, where agents' programs call tools by their names.
enum PythonNames {
    private static let keywords: Set<String> = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
        "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
        "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
    ]
    /// Functions and types that programs use.
    private static let builtins: Set<String> = [
        "abs", "all", "any", "bin", "bool", "bytes", "chr", "dict", "dir", "divmod", "enumerate", "eval", "exec",
        "filter",
        "float", "format", "frozenset", "getattr", "hasattr", "hash", "hex", "id", "input", "int", "isinstance", "iter",
        "len", "list", "map", "max", "min", "next", "object", "oct", "open", "ord", "pow", "print", "range", "repr",
        "reversed", "round", "set", "setattr", "slice", "sorted", "str", "sum", "super", "tuple", "type", "vars", "zip",
    ]

    /// Why a tool cannot have a name; nil where it can.
    /// - Parameter isOwn: whether the domain's owner chose the name. Servers have tools such as `list`, which hide a
    ///   function of Python's; only `print`, by which programs show results, cannot be one.
    static func fault(_ name: String, isOwn: Bool) -> String? {
        if keywords.contains(name) { return "a word of Python's own, so that no program can call it" }
        if name == "print" || (isOwn && builtins.contains(name)) {
            return "a function of Python's own, which it would hide"
        }
        return nil
    }
}

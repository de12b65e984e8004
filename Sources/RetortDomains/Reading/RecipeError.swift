/// A recipe that cannot be carried out: everything that is wrong with it, each with its place.
public struct RecipeError: Error, CustomStringConvertible, Equatable {
    /// One fault.
    public struct Fault: Sendable, Equatable {
        /// From 1.
        public let line: Int
        /// From 1.
        public let column: Int
        public let message: String

        package init(line: Int, column: Int, message: String) {
            (self.line, self.column, self.message) = (line, column, message)
        }
    }

    /// The recipe's path.
    public let file: String
    /// In the order of the file.
    public let faults: [Fault]

    package init(file: String, faults: [Fault]) { (self.file, self.faults) = (file, faults) }

    /// What went wrong, and what to do.
    public var description: String {
        faults.map { "\(file):\($0.line):\($0.column): \($0.message)" }.joined(separator: "\n")
    }
}

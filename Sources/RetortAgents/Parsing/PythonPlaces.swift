/// Which scalars of a Python program are code.
public enum PythonPlaces {
    /// For each scalar whether it stands outside strings and comments.
    public static func isCode(_ program: String) -> [Bool] {
        var scanner = PythonScanner()
        var places: [Bool] = []
        for (index, line) in program.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            if index > 0 { places.append(!scanner.isInString) }
            places += scanner.places(in: Array(line)).map { $0 == .code }
        }
        return places
    }
}

import Foundation
import RetortRetrieval

extension DomainPlan {
    /// Servers of Search-R1's protocol that hold a domain's passages.
    public struct DocumentService: Codable, Sendable, Hashable {
        /// The servers' addresses; several servers each hold a part and are asked at the same time.
        public var addresses: [String]
        /// Headers of each request; `${NAME}` is a variable of this process's environment.
        public var headers: [String: String]?
        /// The longest time for a search, in seconds; nil is 60.
        public var seconds: Double?

        static let usualSeconds = 60.0

        /// - Parameter addresses: such as `http://127.0.0.1:8000`.
        public init(_ addresses: [String]) { self.addresses = addresses }

        /// - Returns: nil where there is no 'service'.
        init?(reading reader: YAMLReader) {
            guard reader.has("service") else {
                for key in ["headers", "seconds"] where reader.has(key) {
                    reader.refuse(key, "'\(key)' is for documents with a 'service'")
                }
                return nil
            }
            addresses = reader.oneOrMore("service", text: { $0 }, mapping: { _ in "" })
            if addresses.isEmpty { reader.refuse("service", "'service' names no address") }
            if reader.has("path") {
                reader.refuse("path", "documents have a 'path' or a 'service', not both")
                _ = reader.optionalString("path")
            }
            if reader.has("headers") {
                let pairs = reader.named("headers", text: { $0 }, mapping: { _ in "" })
                headers = Dictionary(pairs.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
            }
            if reader.has("seconds") {
                seconds = reader.number("seconds", default: Self.usualSeconds, in: 0.01...86_400)
            }
            for address in addresses where (try? PassageService(address)) == nil {
                reader.refuse("service", "\(RetrievalError.address(address))")
            }
        }

        /// The search; no request is made yet.
        /// - Throws: `DomainError.noVariable`, `RetrievalError.address`.
        public func search() throws -> any PassageSearch {
            let headers = try ExpandedVariables.of(headers ?? [:], for: addresses.joined(separator: ", "))
            let services = try addresses.map {
                try PassageService($0, headers: headers, seconds: seconds ?? Self.usualSeconds)
            }
            return services.count == 1 ? services[0] : MergedSearch(services)
        }
    }
}

/// Replaces `${NAME}` in texts with a variable of this process's environment.
enum ExpandedVariables {
    /// - Throws: `DomainError.noVariable`.
    static func of(_ values: [String: String], for server: String) throws -> [String: String] {
        let environment = ProcessInfo.processInfo.environment
        return try values.mapValues { value in
            try value.replacing(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/) { match in
                guard let found = environment[String(match.1)] else {
                    throw DomainError.noVariable(String(match.1), server: server)
                }
                return found
            }
        }
    }
}

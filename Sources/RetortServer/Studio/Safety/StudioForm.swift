import Foundation
import Hummingbird
import NIOCore
import RetortCore

/// The fields of a form that one of the studio's pages sent.
struct StudioForm: Sendable {
    private let fields: [String: String]

    private static let type = "application/x-www-form-urlencoded"

    /// Reads a request's body.
    /// - Throws: `APIError` when it is not a form, too long or too slow.
    init(_ request: Request, _ options: StudioOptions) async throws {
        guard (request.headers[.contentType] ?? "").lowercased().hasPrefix(Self.type) else {
            throw APIError(
                status: .unsupportedMediaType, code: "unsupported_media_type", message: "the body must be a form's")
        }
        let (limit, seconds) = (options.maximumBodyBytes, options.clientSeconds)
        let buffer = try await withTimeLimit(seconds: seconds, late: .slowClient(seconds: seconds)) {
            do {
                return try await request.body.collect(upTo: limit)
            } catch is NIOTooManyBytesError {
                throw APIError.tooLarge(limit: limit)
            } catch let error as HTTPError where error.status == .contentTooLarge {
                throw APIError.tooLarge(limit: limit)
            }
        }
        self.init(String(buffer: buffer))
    }

    /// Reads a URL-encoded body (WHATWG URL, section 5.1).
    init(_ body: String) {
        var fields: [String: String] = [:]
        for pair in body.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            fields[Self.decoded(parts[0])] = parts.count > 1 ? Self.decoded(parts[1]) : ""
        }
        self.fields = fields
    }

    private static func decoded(_ text: some Sequence<UInt8>) -> String {
        var bytes: [UInt8] = []
        let given = Array(text)
        var index = 0
        while index < given.count {
            if given[index] == UInt8(ascii: "%"), index + 2 < given.count,
                let high = Character(UnicodeScalar(given[index + 1])).hexDigitValue,
                let low = Character(UnicodeScalar(given[index + 2])).hexDigitValue
            {
                bytes.append(UInt8(high * 16 + low))
                index += 3
            } else {
                bytes.append(given[index] == UInt8(ascii: "+") ? UInt8(ascii: " ") : given[index])
                index += 1
            }
        }
        // Browsers send line ends as CR LF.
        return String(decoding: bytes, as: UTF8.self).replacing("\r\n", with: "\n")
    }

    /// A field; nil if it is missing or empty.
    func text(_ name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// A field as it was sent; nil if it is missing.
    func raw(_ name: String) -> String? { fields[name] }

    /// - Throws: `APIError` when the field is missing.
    func required(_ name: String) throws(APIError) -> String {
        guard let value = text(name) else { throw .invalid("'\(name)' is missing", param: name) }
        return value
    }
}

/// The query of a page's address.
struct StudioQuery {
    private let form: StudioForm

    /// Forms write queries in the same encoding as bodies.
    init(_ request: Request) { form = StudioForm(request.uri.query ?? "") }

    /// A value of the query; nil if it is missing or empty.
    func text(_ name: String) -> String? { form.text(name).map { String($0.prefix(Self.longest)) } }

    func integer(_ name: String) -> Int? { text(name).flatMap { Int($0) } }

    /// - Throws: `APIError` when the value is missing.
    func required(_ name: String) throws(APIError) -> String {
        guard let value = text(name) else { throw .invalid("'\(name)' is missing", param: name) }
        return value
    }

    private static let longest = 2000

    /// An address with these values as its query; pairs without a value are left out.
    static func address(_ path: String, _ parts: [(String, String?)]) -> String {
        let query = parts.compactMap { name, value in
            value.map { "\(name)=\($0.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")" }
        }
        return query.isEmpty ? path : "\(path)?\(query.joined(separator: "&"))"
    }

    private static let allowed = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/@:")
}

import Tracing

/// Which span something happens in: W3C's trace context (https://www.w3.org/TR/trace-context/, level 1).
package struct TraceContext: Sendable, Hashable {
    /// 16 bytes, not all zero.
    let trace: (high: UInt64, low: UInt64)
    /// 8 bytes, not all zero.
    let span: UInt64
    /// Whether spans of this trace are kept.
    let isSampled: Bool

    init(trace: (high: UInt64, low: UInt64), span: UInt64, isSampled: Bool) {
        self.trace = trace
        self.span = span
        self.isSampled = isSampled
    }

    /// Reads a `traceparent` header; nil for one that is damaged or all zero.
    init?(header: String) {
        let parts = header.split(separator: "-", omittingEmptySubsequences: false)
        // Versions to come may have more parts; version ff is forbidden.
        guard parts.count >= 4, parts[0].count == 2, parts[0] != "ff", parts[0] != "00" || parts.count == 4,
            parts[1].count == 32, parts[2].count == 16, parts[3].count == 2,
            parts.prefix(4).allSatisfy({ $0.utf8.allSatisfy(Self.isLowercaseHex) }),
            let high = UInt64(parts[1].prefix(16), radix: 16), let low = UInt64(parts[1].suffix(16), radix: 16),
            let span = UInt64(parts[2], radix: 16), let flags = UInt8(parts[3], radix: 16), span != 0,
            high != 0 || low != 0
        else { return nil }
        self.init(trace: (high, low), span: span, isSampled: flags & 1 == 1)
    }

    private static func isLowercaseHex(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    /// As a `traceparent` header.
    var header: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }

    /// 32 hexadecimal digits.
    var traceID: String { Self.digits(trace.high) + Self.digits(trace.low) }
    /// 16 hexadecimal digits.
    var spanID: String { Self.digits(span) }

    static func digits(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    /// Whether both name the same span, sampled alike.
    package static func == (one: TraceContext, other: TraceContext) -> Bool {
        one.trace == other.trace && one.span == other.span && one.isSampled == other.isSampled
    }

    /// Combines the ids.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(trace.low)
        hasher.combine(span)
    }
}

private enum TraceContextKey: ServiceContextKey {
    typealias Value = TraceContext
    static let nameOverride: String? = "traceparent"
}

extension ServiceContext {
    var trace: TraceContext? {
        get { self[TraceContextKey.self] }
        set { self[TraceContextKey.self] = newValue }
    }
}

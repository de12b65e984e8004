import Foundation

/// Numbers as pages write them.
enum Figure {
    /// With narrow spaces between groups of thousands.
    static func count(_ number: Int) -> String {
        let digits = String(abs(number))
        var groups: [Substring] = []
        var rest = digits[...]
        while rest.count > 3 {
            groups.insert(rest.suffix(3), at: 0)
            rest = rest.dropLast(3)
        }
        groups.insert(rest, at: 0)
        return (number < 0 ? "−" : "") + groups.joined(separator: "\u{202f}")
    }

    static func count(_ number: Int, _ word: String) -> String { "\(count(number)) \(word)\(number == 1 ? "" : "s")" }

    static func number(_ value: Double, _ digits: Int = 1) -> String { String(format: "%.\(digits)f", value) }

    /// A mean, with one decimal when it is below 100.
    static func mean(_ value: Double) -> String { value >= 100 ? count(Int(value.rounded())) : number(value) }

    static func seconds(_ value: Double) -> String {
        switch value {
        case ..<0.95: "\(Int((value * 1000).rounded())) ms"
        case ..<60: "\(number(value)) s"
        case ..<3600: "\(Int(value) / 60) min \(Int(value) % 60) s"
        default: "\(Int(value) / 3600) h \(Int(value) % 3600 / 60) min"
        }
    }

    static func bytes(_ count: Int) -> String {
        switch count {
        case ..<1000: "\(count) bytes"
        case ..<1_000_000: "\(number(Double(count) / 1e3)) kB"
        default: "\(number(Double(count) / 1e6)) MB"
        }
    }

    /// How long ago something was.
    static func ago(_ date: Date, now: Date = Date()) -> String {
        let seconds = max(now.timeIntervalSince(date), 0)
        return switch seconds {
        case ..<60: "just now"
        case ..<3600: "\(Int(seconds / 60)) min ago"
        case ..<86400: "\(Int(seconds / 3600)) h ago"
        default: count(Int(seconds / 86400), "day") + " ago"
        }
    }
}

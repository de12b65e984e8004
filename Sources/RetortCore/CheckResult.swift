/// Something that was looked at, and whether it is as it should be: a line of `retort doctor`.
public struct CheckResult: Sendable, Codable, Hashable {
    /// Such as `network namespace`, or `opens a TCP connection`.
    public var name: String
    /// Whether it stands, was stopped, or can be had.
    public var holds: Bool
    /// What was seen, or why it does not hold and what is lost without it.
    public var detail: String

    /// - Parameter detail: empty where the name says all.
    public init(name: String, holds: Bool, detail: String) {
        self.name = name
        self.holds = holds
        self.detail = detail
    }
}

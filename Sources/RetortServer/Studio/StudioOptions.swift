/// Where a studio listens, and its limits.
public struct StudioOptions: Sendable {
    /// The interface; `127.0.0.1` is this machine only.
    public var host = "127.0.0.1"
    /// 0 takes any free port.
    public var port = 8800
    /// The secret that the printed address carries; after the first request the browser keeps it in a cookie.
    public var token: String
    /// The longest body of a request, in bytes.
    public var maximumBodyBytes = 4 << 20
    /// The longest a browser may take to send a request, in seconds.
    public var clientSeconds = 30.0
    /// The most connections; further ones wait to be accepted.
    public var maximumConnections = 256
    /// The most pages that are kept up to date at once; further ones are told to reload by themselves.
    public var maximumLivePages = 32
    /// The most talks that are open at once; beyond it the talk left alone the longest ends.
    public var maximumTalks = 8

    /// A studio on this machine only, with a random token.
    public init() { token = Self.randomToken() }

    /// 128 random bits, in hexadecimal digits.
    private static func randomToken() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let word = String(UInt32.random(in: .min ... .max, using: &generator), radix: 16)
            return String(repeating: "0", count: 8 - word.count) + word
        }.joined()
    }
}

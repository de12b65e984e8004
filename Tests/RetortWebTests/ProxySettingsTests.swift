import Foundation
import RetortWeb
import Testing

@Suite("Proxies that an environment names")
struct ProxySettingsTests {
    private func proxy(_ environment: [String: String], _ url: String) throws -> String? {
        try ProxySettings(environment: environment).proxy(for: try #require(URL(string: url)))?.description
    }

    @Test("each scheme has its own, ALL_PROXY stands in for both, small letters come first")
    func schemes() throws {
        let both = ["HTTPS_PROXY": "http://a:3128", "http_proxy": "b:80"]
        #expect(try proxy(both, "https://hub.example/x") == "http://a:3128")
        #expect(try proxy(both, "http://hub.example/x") == "http://b:80")
        #expect(try proxy(["HTTPS_PROXY": "a:1", "https_proxy": "c:2"], "https://hub.example") == "http://c:2")
        // snippet: Proxies
        let settings = try ProxySettings(environment: [
            "HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".internal.example",
        ])
        let outside = try #require(URL(string: "https://hub.example/x"))
        let inside = try #require(URL(string: "https://git.internal.example"))
        #expect(settings.proxy(for: outside)?.description == "http://proxy.example:3128")
        #expect(settings.proxy(for: inside) == nil)
        // end snippet
        #expect(try proxy(["ALL_PROXY": "socks5h://s"], "https://hub.example") == "socks5://s:1080")
        #expect(try proxy(["HTTP_PROXY": "b:80"], "https://hub.example") == nil)
        #expect(try proxy(["HTTPS_PROXY": " "], "https://hub.example") == nil)
        let named = try ProxySettings(environment: ["HTTPS_PROXY": "http://me:secret@[::1]:8080"])
            .proxy(for: try #require(URL(string: "https://hub.example")))
        #expect(named?.user == "me" && named?.password == "secret" && named?.host == "::1")
        #expect(named?.description.contains("secret") == false)
    }

    @Test(
        "exceptions are names with all that end in them, addresses, ranges, ports and everything",
        arguments: [
            ("example.com", "https://example.com", true), ("example.com", "https://hub.example.com", true),
            (".example.com", "https://hub.example.com", true), ("*.example.com", "https://hub.example.com", true),
            ("example.com", "https://notexample.com", false), ("a.b, example.com", "https://example.com:8443", true),
            ("example.com:8443", "https://example.com:8443", true), ("example.com:8443", "https://example.com", false),
            ("10.0.0.0/8", "https://10.1.2.3", true), ("10.0.0.0/8", "https://11.1.2.3", false),
            ("192.168.1.7", "https://192.168.1.7", true), ("*", "https://anything.example", true),
            ("fe80::1", "https://[fe80::1]/x", true), ("", "https://localhost:1", true),
            ("", "https://127.3.2.1", true),
            ("", "https://[::1]:9", true), ("", "https://hub.example", false),
        ])
    func exceptions(list: String, url: String, isDirect: Bool) throws {
        for name in ["NO_PROXY", "no_proxy"] {
            let found = try proxy(["HTTPS_PROXY": "http://p:1", name: list], url)
            #expect((found == nil) == isDirect, "\(list) \(url)")
        }
    }

    @Test(
        "what is no proxy is refused by the variable's name, and what it holds is not shown",
        arguments: ["http://", "https://secret:x@p:1", "ftp://secret", "socks5://secret:x@p"])
    func refusals(value: String) throws {
        let error = try #require(throws: ProxyError.self) {
            try ProxySettings(environment: ["https_proxy": value])
        }
        #expect("\(error)".contains("https_proxy") && !"\(error)".contains("secret"))
    }
}

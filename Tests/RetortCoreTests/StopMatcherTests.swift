import RetortCore
import Testing

@Suite("Stop strings")
struct StopMatcherTests {
    /// What is shown, and the stop that was met, of a text that comes in pieces.
    private func read(_ pieces: [String], _ stops: [String]) -> (text: String, stop: String?) {
        var matcher = StopMatcher(stops)
        var shown = ""
        for piece in pieces {
            let (text, stop) = matcher.push(piece)
            shown += text
            if let stop { return (shown, stop) }
        }
        return (shown + matcher.flush(), nil)
    }

    @Test(
        "the first stop cuts, however the text comes",
        arguments: [
            (["ab", "c\nObs", "ervation: x"], ["\nObservation"], "abc", "\nObservation"),
            (["abc\r", "\nObservation: x"], ["\nObservation"], "abc\r", "\nObservation"),
            (["abc\r\nObservation"], ["Observation:", "\nObservation"], "abc\r", "\nObservation"),
            (["a<end", "_cod", "e>b"], ["<end_code>"], "a", "<end_code>"),
            (["a<end", "_x"], ["<end_code>"], "a<end_x", nil),
            (["x\n\n", "y"], ["\n\n"], "x", "\n\n"), (["x\r\n", "\r\ny"], ["\n\r\n"], "x\r", "\n\r\n"),
            (["e\u{301}a"], ["e"], "", "e"), (["aab"], ["ab", "aab"], "", "aab"), (["ab"], [], "ab", nil),
        ] as [([String], [String], String, String?)])
    func cuts(pieces: [String], stops: [String], text: String, stop: String?) {
        let read = read(pieces, stops)
        #expect(read.text.unicodeScalars.elementsEqual(text.unicodeScalars))
        #expect(read.stop == stop)
    }

    @Test("a text in single scalars gives what it gives whole")
    func pieces() {
        let text = "a\r\nb\n\nStop: <<end>> x"
        for stops in [["\n\n"], ["<<end>>"], ["\nb", "Stop"], ["zz"], ["> "]] {
            let whole = read([text], stops)
            let single = read(text.unicodeScalars.map { String($0) }, stops)
            #expect(whole.text.unicodeScalars.elementsEqual(single.text.unicodeScalars) && whole.stop == single.stop)
        }
    }
}

/// The page's style sheet, for light and dark mode and narrow screens.
enum HTMLStyle {
    static let sheet = """
        :root{--ink:#1c1b19;--soft:#6d6a63;--line:#dedbd3;--paper:#fbfaf7;--card:#fff;--accent:#a6431f;\
        --t0:#b9b4a8;--t1:#8d9fae;--t2:#c8663c;--t3:#8c3b1c;--t4:#dcd7ca;--t5:#5b7d99;--t6:#e3bfa9;--t7:#b8862b;--t8:#5f4b8b;--good:#2e7d4f;--bad:#b3372f;--code:#f3f0e9}
        @media(prefers-color-scheme:dark){:root{--ink:#ece9e2;--soft:#a19c92;--line:#3a3733;--paper:#171614;\
        --card:#1f1e1b;--accent:#e5875f;--t0:#6b675e;--t1:#5f7688;--t2:#d9764b;--t3:#f0a47f;--t4:#4b4841;--t5:#86a9c4;--t6:#7d5644;--t7:#d6a94f;--t8:#a493cf;--good:#6cc48f;\
        --bad:#ef7f76;--code:#292723}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
        main{max-width:980px;margin:0 auto;padding:40px 20px 80px}
        .kicker{color:var(--accent);letter-spacing:.12em;text-transform:uppercase;font-size:12px;margin:0}
        h1{font:600 34px/1.2 Georgia,"Iowan Old Style",serif;margin:.1em 0 .3em}
        h2{font:600 21px/1.3 Georgia,"Iowan Old Style",serif;margin:2.2em 0 .7em}
        header p{color:var(--soft);margin:.2em 0}
        .grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:18px}
        figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px}
        figcaption{font-weight:600;font-size:14px;margin-bottom:8px}
        svg{width:100%;height:auto;display:block;font:11px system-ui,sans-serif}
        svg .grid{stroke:var(--line);stroke-width:1}
        svg text{fill:var(--soft)} svg .label{text-anchor:end;fill:var(--ink)} svg .tick{text-anchor:middle}
        svg .value{font-weight:600;fill:var(--ink)} svg .whisker{stroke:var(--ink);stroke-width:1.3;opacity:.7}
        \(tones { "rect.tone\($0){fill:var(--t\($0))}" })
        svg .key{fill:var(--soft)}
        .cause0{fill:var(--good)}.cause1{fill:var(--t2)}.cause2{fill:var(--t3)}.cause3{fill:var(--t0)}\
        .cause4{fill:var(--bad)}.cause5{fill:var(--t1)}.cause6{fill:var(--accent)}.cause7{fill:var(--soft)}.cause8{fill:var(--t8)}
        polyline{fill:none;stroke-width:2}
        \(tones { "polyline.tone\($0){stroke:var(--t\($0))}" })
        .wide{overflow-x:auto} figure.wide svg{min-width:520px;max-width:640px}
        .skip{position:absolute;left:-999px} .skip:focus{left:12px;top:12px;background:var(--card);padding:6px 10px}
        :focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
        .filter{display:flex;flex-wrap:wrap;gap:8px 18px;align-items:center;margin:0 0 14px;color:var(--soft);font-size:14px}
        .filter label{display:flex;gap:6px;align-items:center} .filter input{width:min(100%,19em)}
        .filter input,.filter select{font:inherit;color:var(--ink);background:var(--card);border:1px solid var(--line);\
        border-radius:6px;padding:5px 8px}
        table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
        th,td{padding:7px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
        thead th{font-weight:600;color:var(--soft);font-size:12.5px;white-space:normal;vertical-align:bottom}
        th:first-child{text-align:left} tbody th{font-weight:500} a{color:inherit;text-decoration-color:var(--accent)}
        small,.note{color:var(--soft)} .note{font-size:13.5px}
        details{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:10px 0;padding:10px 16px}
        summary{cursor:pointer;font-size:15px} .group>summary{font-weight:600} .group details{border-radius:6px}
        .group>details{content-visibility:auto;contain-intrinsic-size:auto 60px;background:var(--paper)}
        .run>summary{overflow-wrap:anywhere} .run>summary small{white-space:nowrap} [hidden]{display:none!important}
        details:target{border-color:var(--accent)} .good{color:var(--good);font-weight:700}.bad{color:var(--bad);font-weight:700}
        .steps{list-style:none;margin:10px 0;padding:0}
        .step{border-left:3px solid var(--line);margin:12px 0;padding:2px 0 2px 14px}
        .thought{margin:.3em 0;overflow-wrap:anywhere;white-space:pre-line} .outcome{overflow-wrap:anywhere}
        .who{margin:.5em 0 .2em;color:var(--soft);font-size:12.5px} .who.bad{color:var(--bad);font-weight:600}
        pre{margin:.5em 0;padding:10px 12px;border-radius:6px;overflow-x:auto;white-space:pre-wrap;\
        overflow-wrap:anywhere;font:13px/1.5 ui-monospace,Menlo,Consolas,monospace}
        .code{background:var(--code)} .seen{border:1px dashed var(--line);color:var(--soft)}
        pre i{font-style:normal} i.k{color:var(--accent);font-weight:600}i.s{color:var(--good)}i.n{color:var(--t5)}\
        i.c{color:var(--soft)}
        @media(max-width:600px){main{padding:24px 14px 60px}h1{font-size:27px}th,td{padding:6px 7px}details{padding:8px 11px}}
        .votes{font-size:13.5px;padding:6px 12px} .votes ol{list-style:none;margin:6px 0;padding:0}
        .votes li{padding:2px 0 2px 10px;border-left:3px solid var(--line);margin:10px 0} .votes li.chosen{border-color:var(--accent)}
        .bar{display:inline-block;height:8px;min-width:1px;background:var(--t2);border-radius:2px}
        """

    private static func tones(_ rule: (Int) -> String) -> String { (0..<9).map(rule).joined() }
}
